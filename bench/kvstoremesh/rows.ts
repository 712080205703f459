/** Rows about a kvstoremesh that mirrors one cluster. */
import type { Row } from '../frame/row.ts';
import { ETCD_ROW } from './etcd-row.ts';
import { FILL_ROW, MILLION_ROW } from './fill.ts';
import { BLOCKS_ROW, RECONNECT_ROW } from './interrupted.ts';
import { LATENCY_ROW, RATE_ROW } from './latency.ts';
import { IDLE_ROW, MEMORY_ROW } from './memory.ts';
import { RESTART_ROW, START_ROW } from './start.ts';

export const KVSTOREMESH_ROWS: readonly Row[] = [
  ETCD_ROW,
  FILL_ROW,
  LATENCY_ROW,
  MEMORY_ROW,
  IDLE_ROW,
  START_ROW,
  RESTART_ROW,
  RECONNECT_ROW,
  RATE_ROW,
  BLOCKS_ROW,
  MILLION_ROW,
];
