/** The kinds of Kubernetes from which services are derived, and ServiceExports of the MCS API. */
import { projectEndpointSlice, projectService, projectServiceExport } from '../shared/kubernetes/objects/projections.ts';
import { endpointSlicesOf, SERVICE_EXPORTS, servicesOf } from '../shared/kubernetes/objects/resources.ts';
import type { EndpointSlice, ObjectMeta, Service, ServiceExport } from '../shared/kubernetes/objects/types.ts';
import { type ExportContext, exportEndpointSlices, exportServiceExports, exportServices } from './export/export-rules.ts';
import { ServiceSlices } from './export/service-slices.ts';
import type { Informers } from './informers/informers.ts';
import { ObjectStore } from './informers/object-store.ts';
import type { Sections } from './sections.ts';

export interface ServiceKindsOptions {
  readonly informers: Informers;
  readonly context: ExportContext;
  readonly sections: Sections;
  /** Empty for the default service proxy. */
  readonly serviceProxyName: string;
  /** The value of `--export-selector`; '' matches every service. */
  readonly labelSelector: string;
  /** Services are also exported in the older form, not only as endpoint slices. */
  readonly servicesExported: boolean;
  readonly serviceExportsEnabled: boolean;
}

export function exportServiceKinds(options: ServiceKindsOptions): void {
  const { informers, context, sections, serviceProxyName } = options;
  const services = new ObjectStore<Service>(namespaceOf);
  const slices = new ObjectStore<EndpointSlice>(namespaceOf);
  const objects = { services, slices, slicesByService: new ServiceSlices(slices) };
  if (options.servicesExported) exportServices(context, sections['services/v1'], objects);
  exportEndpointSlices(context, sections['endpointslices/v1'], objects);

  const serviceExports = new ObjectStore<ServiceExport>(namespaceOf);
  exportServiceExports(context, sections['serviceexports/v1'], services, serviceExports);
  if (options.serviceExportsEnabled) followServiceExports(informers, serviceExports);
  else serviceExports.listed();

  informers.follow({ resource: servicesOf(serviceProxyName, options.labelSelector), project: projectService }, services);
  informers.follow({ resource: endpointSlicesOf(serviceProxyName), project: projectEndpointSlice }, slices);
}

/**
 * If the CRD is not installed there are no ServiceExports, and the listing is complete: readers must
 * not wait. Once it is installed, its objects are exported; upstream looks for the CRD only at its start.
 */
function followServiceExports(informers: Informers, serviceExports: ObjectStore<ServiceExport>): void {
  informers.follow({ resource: SERVICE_EXPORTS, project: projectServiceExport }, serviceExports, (event) => {
    if (event.type === 'state' && event.state === 'missing') serviceExports.listed();
  });
}

function namespaceOf({ metadata }: { readonly metadata: ObjectMeta }): string {
  return metadata.namespace ?? '';
}
