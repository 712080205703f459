/**
 * ServiceExport and the Service of the same name → one key below `cilium/state/serviceexports/v1/<cluster>/`.
 *
 * The shape of the service comes from the Service; labels, annotations and the age of the wish from the
 * ServiceExport.
 */
import type { GoMap, Service, ServiceExport, ServicePort, ServiceSpec } from '../../shared/k8s/types.ts';
import { JSON_NULL, type Json, jsonInteger, jsonList, jsonStruct, jsonText, jsonTextMap } from '../go-json.ts';
import { type Cluster, serviceExportKey } from '../keyspace.ts';
import type { Conversion } from './conversion.ts';

/** What the pair exports: one entry; none for a service that is only a name for something outside the cluster. */
export function convertServiceExport(cluster: Cluster, exported: ServiceExport, service: Service): Conversion {
  const { spec = {} } = service;
  if (spec.type === 'ExternalName') return { entries: [], rejected: [] };
  const { name, namespace = '', creationTimestamp } = exported.metadata;
  const annotations = mapOrOmitted(exported.spec?.exportedAnnotations);
  const labels = mapOrOmitted(exported.spec?.exportedLabels);
  const value = jsonStruct({
    cluster: jsonText(cluster.name),
    name: jsonText(name),
    namespace: jsonText(namespace),
    annotations,
    labels,
    // Older readers know the two maps by these names.
    Labels: labels,
    Annotations: annotations,
    exportCreationTimestamp: creationTimestamp === undefined ? JSON_NULL : jsonText(creationTimestamp),
    ports: jsonList((spec.ports ?? []).map(portJson)),
    type: jsonText(spec.clusterIP === 'None' ? 'Headless' : 'ClusterSetIP'),
    sessionAffinity: jsonText(spec.sessionAffinity ?? ''),
    sessionAffinityConfig: affinityConfigJson(spec.sessionAffinityConfig),
    ipFamilies: listOrOmitted(spec.ipFamilies ?? []),
    internalTrafficPolicy: textOrOmitted(spec.internalTrafficPolicy),
    trafficDistribution: textOrOmitted(spec.trafficDistribution),
  });
  return { entries: [{ key: serviceExportKey(cluster, namespace, name), value: Buffer.from(value) }], rejected: [] };
}

function portJson({ name, protocol, appProtocol, port }: ServicePort): Json {
  return jsonStruct({
    name: textOrOmitted(name),
    protocol: textOrOmitted(protocol),
    appProtocol: textOrOmitted(appProtocol),
    port: jsonInteger(port),
  });
}

function affinityConfigJson(config: ServiceSpec['sessionAffinityConfig']): Json | undefined {
  if (!config) return undefined;
  const { clientIP } = config;
  if (!clientIP) return jsonStruct({});
  const { timeoutSeconds } = clientIP;
  const client = jsonStruct({ timeoutSeconds: timeoutSeconds === undefined ? undefined : jsonInteger(timeoutSeconds) });
  return jsonStruct({ clientIP: client });
}

function textOrOmitted(text: string | undefined): Json | undefined {
  return text ? jsonText(text) : undefined;
}

function listOrOmitted(texts: readonly string[]): Json | undefined {
  return texts.length === 0 ? undefined : jsonList(texts.map(jsonText));
}

function mapOrOmitted(map: GoMap | undefined): Json | undefined {
  return map && Object.keys(map).length > 0 ? jsonTextMap(map) : undefined;
}
