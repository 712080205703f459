/** The flags of `export-plan`: those of the daemon that decide about endpoints, under their names, and the selector to compare with. */
import { kubernetesFlags } from '../../shared/flags/shared-flags.ts';
import { duration, type FlagValues, text, uint } from '../../shared/flags/table.ts';
import { endpointSelectorFlag } from '../export/export-filter.ts';
import { apiserverFlagTable } from '../flags.ts';

const { 'enable-k8s-api-discovery': _discovery, 'k8s-heartbeat-timeout': _heartbeat, ...connectionFlags } = kubernetesFlags;

export const exportPlanFlagTable = {
  ...connectionFlags,
  selector: endpointSelectorFlag('Value of --export-endpoint-selector to compare with the present one; empty for all Pods'),
  'clustermesh-default-global-namespace': apiserverFlagTable['clustermesh-default-global-namespace'],
  'enable-cilium-endpoint-slice': apiserverFlagTable['enable-cilium-endpoint-slice'],
  'export-endpoint-selector': endpointSelectorFlag('Present label selector of the daemon; empty for all Pods'),
  'export-namespaces': apiserverFlagTable['export-namespaces'],
  'export-namespace-selector': apiserverFlagTable['export-namespace-selector'],
  examples: uint(3, 'Pods to name in each namespace, of those that would be exported and of those that would be withdrawn'),
  output: text('', "Output format: json, yaml or jsonpath='{…}'; text if empty", {
    shorthand: 'o',
    candidates: ['json', 'yaml', 'jsonpath='],
  }),
  timeout: duration('5m', 'Longest time for all requests', { min: '1ms', max: '1h' }),
};

export type ExportPlanFlags = FlagValues<typeof exportPlanFlagTable>;
