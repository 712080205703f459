/** Rows about a kvstoremesh that mirrors one cluster. */
import type { Row } from '../frame/row.ts';
import { ETCD_ROW } from './etcd-row.ts';
import { FILL_ROW, MILLION_ROW } from './fill.ts';
import { LATENCY_ROW, RATE_ROW } from './latency.ts';

export const KVSTOREMESH_ROWS: readonly Row[] = [ETCD_ROW, FILL_ROW, LATENCY_ROW, RATE_ROW, MILLION_ROW];
