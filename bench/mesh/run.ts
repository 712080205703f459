/** A mesh through its life: the first load, no changes, changes, and all remote clusters lost and back at once. */

import type { LiveMemory } from '../light/loop-probe.ts';
import {
  type Churn,
  type Fill,
  type Load,
  measureChurn,
  measureFill,
  measureIdle,
  measureReports,
  measureReturn,
  type Return,
} from '../light/measure.ts';
import { MeshRun } from '../light/mesh-run.ts';
import { keysOf, scaled } from '../light/shape.ts';
import { LightSources } from '../light/sources.ts';
import type { MeshShape } from './meshes.ts';

export interface MeshOptions {
  /** Of the keys of each cluster; the clusters stay as many. */
  readonly scale: number;
  readonly seconds: number;
  readonly idleSeconds: number;
  readonly downMs: number;
  readonly binary?: string;
  readonly flags?: readonly string[];
}

export interface MeshResult {
  readonly name: string;
  readonly clusters: number;
  readonly keys: number;
  readonly fill: Fill;
  readonly idle: Load;
  /** After the idle time. */
  readonly live: LiveMemory;
  readonly churn: Churn;
  readonly reports: {
    readonly statusMs: number;
    readonly metricsMs: number;
    readonly metricsBytes: number;
    readonly longestBlockCpuMs: number;
  };
  /** The same stores answer again. */
  readonly back: Return;
  /** Other stores with the same keys answer. */
  readonly replaced: Return;
}

/** `progress` is called with a line after each phase. */
export async function runMesh(mesh: MeshShape, options: MeshOptions, progress: (line: string) => void): Promise<MeshResult> {
  const { scale, seconds, idleSeconds, downMs, binary, flags = [] } = options;
  const { name, clusters, rates } = mesh;
  const shape = scaled(mesh.shape, scale);
  const tell = (phase: string, figures: object) => progress(`${name} ${phase}: ${JSON.stringify(figures)}`);
  await using sources = await LightSources.start(Array.from({ length: clusters }, () => shape));
  await using running = await MeshRun.start({ sources, flags, ...(binary === undefined ? {} : { binary }) });
  const fill = await measureFill(running, sources);
  tell('full', fill);
  const idle = await measureIdle(running, idleSeconds);
  tell('idle', idle);
  const live = await running.live();
  tell('live', live);
  await running.follow();
  const churn = await measureChurn(running, sources, rates, seconds);
  tell('changes', churn);
  const { status, metrics, statusBlocks, metricsBlocks } = await measureReports(running);
  const longestBlockCpuMs = Math.max(statusBlocks.longestCpuMs, metricsBlocks.longestCpuMs);
  const reports = { statusMs: status.ms, metricsMs: metrics.ms, metricsBytes: metrics.bytes, longestBlockCpuMs };
  tell('reports', reports);
  const back = await measureReturn(running, sources, { count: clusters, downMs });
  tell('back', back);
  const replaced = await measureReturn(running, sources, { count: clusters, downMs, isReplaced: true });
  tell('replaced', replaced);
  return { name, clusters, keys: keysOf(shape) * clusters, fill, idle, live, churn, reports, back, replaced };
}
