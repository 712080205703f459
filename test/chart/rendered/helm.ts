/** Helm as a user calls it, with nothing of the user's. */
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseAllDocuments, stringify } from 'yaml';
import type { KubeObject } from '../../support/kube-object.ts';
import { HELM } from '../../support/kubernetes/helm-binary.ts';

export { type KubeObject, type PolicyRule, referenceOf } from '../../support/kube-object.ts';
export { HELM, helmMissing } from '../../support/kubernetes/helm-binary.ts';

export const CHART = join(import.meta.dirname, '../../../charts/clustermesh-apiserver');
export const NAMESPACE = 'kube-system';

/** Of the chart, as a file of `--values` has them. */
export type Values = Readonly<Record<string, unknown>>;

/** What a user cannot do without. */
export const REQUIRED: Values = {
  cluster: { name: 'east', id: 1 },
  image: { override: 'registry.test/clustermesh-apiserver:test' },
};

export interface HelmOutcome {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** A directory for its files, and a kubeconfig where it is to reach a cluster. */
export class Helm implements Disposable {
  readonly directory = mkdtempSync(join(tmpdir(), 'helm-test-'));
  readonly #kubeconfigFile: string;
  #files = 0;

  constructor(kubeconfigFile = '/dev/null') {
    this.#kubeconfigFile = kubeconfigFile;
  }

  /** Resolves whatever the status is. */
  run(...args: readonly string[]): Promise<HelmOutcome> {
    return this.call(HELM, args);
  }

  /** Runs another program in the environment of Helm, with that of `more` added. */
  call(program: string, args: readonly string[], more: Readonly<Record<string, string>> = {}): Promise<HelmOutcome> {
    const env = { PATH: process.env.PATH, ...this.#environment(), ...more };
    const options = { env, timeout: 60_000, maxBuffer: 64 * 1024 * 1024, cwd: this.directory };
    return new Promise((resolve) => {
      execFile(program, args, options, (error, stdout, stderr) => {
        const status = error === null ? 0 : typeof error.code === 'number' ? error.code : -1;
        resolve({ status, stdout, stderr: stderr || (status === 0 ? '' : String(error)) });
      });
    });
  }

  #environment(): Readonly<Record<string, string>> {
    const at = (name: string) => join(this.directory, name);
    return {
      HOME: this.directory,
      HELM_CACHE_HOME: at('cache'),
      HELM_CONFIG_HOME: at('config'),
      HELM_DATA_HOME: at('data'),
      KUBECONFIG: this.#kubeconfigFile,
    };
  }

  /** The file that `values` are in from now on. */
  valuesFile(values: Values): string {
    this.#files += 1;
    const path = join(this.directory, `values-${this.#files}.yaml`);
    writeFileSync(path, stringify(values, { version: '1.1' }));
    return path;
  }

  /** What the chart makes of `values` on top of those that are required. Rejects with Helm's words where it refuses them. */
  async template(values: Values, ...args: readonly string[]): Promise<string> {
    const files = [REQUIRED, values].map((each) => `--values=${this.valuesFile(each)}`);
    const { status, stdout, stderr } = await this.run('template', 'mesh', CHART, `--namespace=${NAMESPACE}`, ...files, ...args);
    if (status !== 0) throw new Error(stderr);
    return stdout;
  }

  [Symbol.dispose](): void {
    rmSync(this.directory, { recursive: true, force: true });
  }
}

/** The objects of a rendering, read as Kubernetes reads them. */
export function objectsOf(rendered: string): readonly KubeObject[] {
  return parseAllDocuments(rendered, { version: '1.1' })
    .map((document) => document.toJS() as KubeObject | null)
    .filter((object) => object !== null);
}
