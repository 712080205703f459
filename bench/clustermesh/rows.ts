/** The rows of clustermesh: the export of Kubernetes objects from a real kube-apiserver. */
import type { Row } from '../frame/row.ts';
import { BACKENDS_ROW } from './backends.ts';
import { ENDPOINTS_ROW } from './endpoints.ts';
import { EXPORTER_IDLE_ROW } from './idle.ts';
import { SERVICES_ROW } from './services.ts';

export const CLUSTERMESH_ROWS: readonly Row[] = [EXPORTER_IDLE_ROW, ENDPOINTS_ROW, SERVICES_ROW, BACKENDS_ROW];
