{{/* Checks that the schema cannot express. */}}
{{- define "clustermesh.validate" -}}
{{- $values := .Values -}}
{{- if gt (int $values.cluster.id) (int $values.maxConnectedClusters) -}}
{{- fail (printf "cluster.id: %d is more than maxConnectedClusters (%d)" (int $values.cluster.id) (int $values.maxConnectedClusters)) -}}
{{- end -}}
{{- if and (eq $values.tls.method "certmanager") (not $values.tls.certmanager.issuerRef) -}}
{{- fail "tls.certmanager.issuerRef: the method certmanager needs an issuer: name, kind, and for a ClusterIssuer of others group" -}}
{{- end -}}
{{- if hasKey $values.mesh.clusters $values.cluster.name -}}
{{- fail (printf "mesh.clusters: %s is this cluster (cluster.name); name the others only" $values.cluster.name) -}}
{{- end -}}
{{- range $name, $peer := include "clustermesh.peers" . | fromYaml -}}
{{- if and (not $peer.address) (not $peer.ips) -}}
{{- fail (printf "mesh.clusters.%s: set address (a host name or an IP address), or ips" $name) -}}
{{- end -}}
{{- if and $peer.address $peer.ips -}}
{{- fail (printf "mesh.clusters.%s: set either address or ips" $name) -}}
{{- end -}}
{{- end -}}
{{- if and $values.combined.enabled (not $values.kvstoremesh.enabled) -}}
{{- fail "combined.enabled: the container runs both daemons; set kvstoremesh.enabled to true, or combined.enabled to false" -}}
{{- end -}}
{{- if and $values.etcd.defragmentation.schedule (gt (int $values.replicas) 1) -}}
{{- fail "etcd.defragmentation.schedule: with several replicas the job would reach one of them by chance; leave it empty, set replicas to 1, or enable etcd.replication" -}}
{{- end -}}
{{- if and $values.etcd.defragmentation.schedule $values.service.externallyCreated -}}
{{- fail "etcd.defragmentation.schedule: the job reaches etcd through the Service; leave it empty, or let the chart make the Service" -}}
{{- end -}}
{{- if ne (eq $values.etcd.compaction.mode "revision") (regexMatch "^[0-9]+$" $values.etcd.compaction.retention) -}}
{{- fail (printf "etcd.compaction.retention: %s does not fit the mode %s; periodic wants a time such as 1h, revision a number" $values.etcd.compaction.retention $values.etcd.compaction.mode) -}}
{{- end -}}
{{- if and $values.etcd.persistence.enabled (gt (int $values.replicas) 1) -}}
{{- fail "etcd.persistence.enabled: several replicas cannot share a volume; set replicas to 1, leave persistence out, or enable etcd.replication, which has a volume for each member" -}}
{{- end -}}
{{- if and $values.etcd.persistence.enabled (eq $values.etcd.storageMedium "Memory") -}}
{{- fail "etcd.persistence.enabled: the volume takes the place of storageMedium Memory; choose one of them" -}}
{{- end -}}
{{- include "clustermesh.validateReplication" . -}}
{{- include "clustermesh.validatePorts" . -}}
{{- include "clustermesh.validateAgainstCluster" . -}}
{{- end }}

{{- define "clustermesh.validateReplication" -}}
{{- $etcd := .Values.etcd -}}
{{- if $etcd.replication.enabled -}}
{{- if ne (int .Values.replicas) 1 -}}
{{- fail (printf "replicas: %d, and the number of Pods of a replicated etcd is etcd.replication.members; leave replicas at 1" (int .Values.replicas)) -}}
{{- end -}}
{{- if $etcd.persistence.existingClaim -}}
{{- fail "etcd.persistence.existingClaim: each member of a replicated etcd has a claim of its own; leave existingClaim empty" -}}
{{- end -}}
{{- end -}}
{{- end }}

{{- define "clustermesh.validatePorts" -}}
{{- $ports := dict "2379" "etcd" "2380" "the peer port of etcd" "9889" "the status API of kvstoremesh" -}}
{{- $wanted := list (list "apiserver.healthPort" .Values.apiserver.healthPort) (list "metrics.etcd.port" .Values.metrics.etcd.port) -}}
{{- if .Values.metrics.apiserver.enabled }}{{ $wanted = append $wanted (list "metrics.apiserver.port" .Values.metrics.apiserver.port) }}{{ end -}}
{{- if .Values.kvstoremesh.enabled -}}
{{- $wanted = append $wanted (list "kvstoremesh.healthPort" .Values.kvstoremesh.healthPort) -}}
{{- if .Values.metrics.kvstoremesh.enabled }}{{ $wanted = append $wanted (list "metrics.kvstoremesh.port" .Values.metrics.kvstoremesh.port) }}{{ end -}}
{{- end -}}
{{- range $wanted -}}
{{- $name := index . 0 -}}
{{- $port := index . 1 | int | toString -}}
{{- if hasKey $ports $port -}}
{{- fail (printf "%s: %s is the port of %s; choose another one" $name $port (index $ports $port)) -}}
{{- end -}}
{{- $_ := set $ports $port $name -}}
{{- end -}}
{{- end }}

{{/* Agents read their cluster name and ID from the ConfigMap cilium-config. */}}
{{- define "clustermesh.validateAgainstCluster" -}}
{{- $config := (lookup "v1" "ConfigMap" .Release.Namespace "cilium-config").data | default dict -}}
{{- $wanted := dict "cluster-name" .Values.cluster.name "cluster-id" (toString (int .Values.cluster.id)) "max-connected-clusters" (toString (int .Values.maxConnectedClusters)) -}}
{{- $settings := dict "cluster-name" "cluster.name" "cluster-id" "cluster.id" "max-connected-clusters" "maxConnectedClusters" -}}
{{- range $key, $value := $wanted -}}
{{- $found := index $config $key -}}
{{- if and $found (ne (toString $found) $value) -}}
{{- fail (printf "%s: %s, and the ConfigMap cilium-config of this cluster says %s: %s; both have to be the same" (index $settings $key) $value $key $found) -}}
{{- end -}}
{{- end -}}
{{- end }}
