/** The documentation as a user follows it: its files and its commands, with the addresses of the clusters of a test. */
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { HELM } from '../support/kubernetes/helm-binary.ts';
import { runChild } from '../support/processes/child.ts';

const ROOT = join(import.meta.dirname, '../..');

export interface Block {
  readonly language: string;
  readonly text: string;
  /** Of the section that it is in. */
  readonly heading: string;
}

export class Guide {
  readonly #directory: string;
  readonly #kubeconfigFile: string;
  readonly #substitutes: ReadonlyMap<string, string>;

  /** `substitutes` replace what the documentation has as an example, such as addresses. Everything happens in `directory`. */
  constructor(directory: string, kubeconfigFile: string, substitutes: Readonly<Record<string, string>>) {
    this.#directory = directory;
    this.#kubeconfigFile = kubeconfigFile;
    this.#substitutes = new Map(Object.entries(substitutes));
    mkdirSync(join(directory, 'bin'));
    symlinkSync(HELM, join(directory, 'bin/helm'));
    symlinkSync(join(ROOT, 'charts'), join(directory, 'charts'));
  }

  blocks(document: string): readonly Block[] {
    let heading = '';
    const blocks: Block[] = [];
    for (const [whole, title, language = '', text = ''] of readFileSync(join(ROOT, document), 'utf8').matchAll(
      /^#+ (.+)$|^```(\w+)\n([\s\S]*?)^```$/gm,
    )) {
      if (title !== undefined && !whole.startsWith('```')) heading = title;
      else blocks.push({ language, text: this.#substituted(text), heading });
    }
    return blocks;
  }

  /**
   * Writes a block of YAML whose first line names a file, and runs the commands of the other ones; `after` is called after each.
   * The `cilium` command is of another project: test/compatibility compares what it reads.
   */
  async follow({ language, text }: Block, after: (command: string) => Promise<void> = async () => {}): Promise<void> {
    const file = /^# (\S+\.yaml)\n/.exec(text)?.[1];
    if (language === 'yaml' && file !== undefined) writeFileSync(join(this.#directory, file), text);
    for (const command of commandsOf(language, text)) {
      if (command.startsWith('cilium ')) continue;
      await this.run(command);
      await after(command);
    }
  }

  /** What the commands print. Rejects with their own words where one of them fails. */
  async run(commands: string): Promise<string> {
    const env = {
      PATH: `${this.#directory}/bin:${process.env.PATH ?? ''}`,
      HOME: this.#directory,
      KUBECONFIG: this.#kubeconfigFile,
    };
    const { status, stdout, stderr } = await runChild('sh', ['-euc', commands], { env, cwd: this.#directory });
    if (status !== 0) throw new Error(`${commands}: ${stderr}`);
    return stdout;
  }

  #substituted(text: string): string {
    let result = text;
    for (const [example, own] of this.#substitutes) result = result.replaceAll(example, own);
    return result;
  }
}

/** A command ends with a line that no other one continues; in a transcript it begins with a prompt. */
function commandsOf(language: string, text: string): readonly string[] {
  const pattern = language === 'console' ? /^\$ ((?:.*\\\n)*.*)$/gm : /^(?!#)((?:.*\\\n)*.+)$/gm;
  return language === 'sh' || language === 'console' ? [...text.matchAll(pattern)].map(([, command = '']) => command) : [];
}
