/**
 * ServiceExport and the Service of the same name → one key below `cilium/state/serviceexports/v1/<cluster>/`.
 *
 * The shape of the service comes from the Service; labels, annotations and the age of the wish from the
 * ServiceExport.
 */
import type { GoMap, Service, ServiceExport, ServicePort, ServiceSpec } from '../../shared/kubernetes/objects/types.ts';
import { JSON_NULL, type Json, jsonInteger, jsonList, jsonStruct, jsonText, jsonTextMap } from '../encoding/go-json.ts';
import { type Cluster, serviceExportKey } from '../encoding/keyspace.ts';
import { type Conversion, isInt32, isPort, quoted } from './conversion.ts';

/** What the pair exports: one entry; none for a service that is only a name for something outside the cluster. */
export function convertServiceExport(cluster: Cluster, exported: ServiceExport, service: Service): Conversion {
  const { spec = {} } = service;
  if (spec.type === 'ExternalName') return { entries: [], rejected: [] };
  const { name, namespace = '', creationTimestamp } = exported.metadata;
  const annotations = mapOrOmitted(exported.spec?.exportedAnnotations);
  const labels = mapOrOmitted(exported.spec?.exportedLabels);
  const rejected: string[] = [];
  const value = jsonStruct({
    cluster: jsonText(cluster.name),
    name: jsonText(name),
    namespace: jsonText(namespace),
    annotations,
    labels,
    // Older readers use these names of the two maps.
    Labels: labels,
    Annotations: annotations,
    exportCreationTimestamp: creationTimestamp === undefined ? JSON_NULL : jsonText(creationTimestamp),
    ports: portsJson(spec.ports ?? [], rejected),
    type: jsonText(spec.clusterIP === 'None' ? 'Headless' : 'ClusterSetIP'),
    sessionAffinity: jsonText(spec.sessionAffinity ?? ''),
    sessionAffinityConfig: affinityConfigJson(spec.sessionAffinityConfig, rejected),
    ipFamilies: listOrOmitted(spec.ipFamilies ?? []),
    internalTrafficPolicy: textOrOmitted(spec.internalTrafficPolicy),
    trafficDistribution: textOrOmitted(spec.trafficDistribution),
  });
  return { entries: [{ key: serviceExportKey(cluster, namespace, name), value: Buffer.from(value) }], rejected };
}

function portsJson(ports: readonly ServicePort[], rejected: string[]): Json {
  return jsonList(
    ports.flatMap((port) => {
      if (isPort(port.port)) return portJson(port);
      rejected.push(`spec.ports: ${port.port} of ${quoted(port.name ?? '')} is not a port`);
      return [];
    }),
  );
}

function portJson({ name, protocol, appProtocol, port }: ServicePort): Json {
  return jsonStruct({
    name: textOrOmitted(name),
    protocol: textOrOmitted(protocol),
    appProtocol: textOrOmitted(appProtocol),
    port: jsonInteger(port),
  });
}

/** Effective only with a timeout. */
function affinityConfigJson(config: ServiceSpec['sessionAffinityConfig'], rejected: string[]): Json | undefined {
  const timeoutSeconds = config?.clientIP?.timeoutSeconds;
  if (timeoutSeconds === undefined) return undefined;
  if (isInt32(timeoutSeconds)) return jsonStruct({ clientIP: jsonStruct({ timeoutSeconds: jsonInteger(timeoutSeconds) }) });
  rejected.push(`spec.sessionAffinityConfig.clientIP.timeoutSeconds: ${timeoutSeconds} is not an integer of 32 bits`);
  return undefined;
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
