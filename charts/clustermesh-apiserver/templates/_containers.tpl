{{/* What every container has: a list of the context, the name of its values, and these values. */}}
{{- define "clustermesh.containerBase" -}}
{{- $context := index . 0 -}}
{{- $values := index . 2 -}}
image: {{ include "clustermesh.image" $context | quote }}
imagePullPolicy: {{ $context.Values.image.pullPolicy }}
terminationMessagePolicy: FallbackToLogsOnError
securityContext:
  {{- include "clustermesh.securityContext" $values.securityContext | nindent 2 }}
resources:
  {{- include "clustermesh.resources" . | nindent 2 }}
{{- with $values.lifecycle }}
lifecycle:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* Of a container; what the values say wins. */}}
{{- define "clustermesh.securityContext" -}}
{{- $defaults := dict "allowPrivilegeEscalation" false "readOnlyRootFilesystem" true "capabilities" (dict "drop" (list "ALL")) -}}
{{- include "clustermesh.overlay" (list . $defaults) -}}
{{- end }}

{{/*
The probes of a container: a list of the values of the container, the port, and the path of the start-up and liveness
probes. A container is asked once a second while it starts and every two seconds after that: with the ten seconds that
Kubernetes has for a default, one answer too early costs ten seconds.
*/}}
{{- define "clustermesh.probes" -}}
{{- $values := index . 0 -}}
{{- $live := dict "path" "/livez" "port" (index . 1) -}}
{{- $ready := dict "path" "/readyz" "port" (index . 1) -}}
startupProbe:
  {{- include "clustermesh.overlay" (list $values.startupProbe (dict "httpGet" $live "periodSeconds" 1 "timeoutSeconds" 2 "failureThreshold" 120)) | nindent 2 }}
readinessProbe:
  {{- include "clustermesh.overlay" (list $values.readinessProbe (dict "httpGet" $ready "periodSeconds" 2 "timeoutSeconds" 3 "failureThreshold" 3)) | nindent 2 }}
livenessProbe:
  {{- include "clustermesh.overlay" (list $values.livenessProbe (dict "httpGet" $live "periodSeconds" 10 "timeoutSeconds" 5 "failureThreshold" 6)) | nindent 2 }}
{{- end }}

{{- define "clustermesh.extraEnv" -}}
{{- with . }}
env:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* What both daemons are told: a list of the context, and the values of the container. */}}
{{- define "clustermesh.daemonArgs" -}}
{{- $values := (index . 0).Values -}}
- --cluster-name={{ $values.cluster.name }}
- --cluster-id={{ int $values.cluster.id }}
- --max-connected-clusters={{ int $values.maxConnectedClusters }}
- --kvstore-opt=etcd.config=/var/lib/cilium/etcd-config.yaml
{{- with (index . 1).etcdQPS }}
- --kvstore-opt=etcd.qps={{ int . }}
- --kvstore-opt=etcd.bootstrapQps=10000
{{- end }}
{{- if $values.debug }}
- --debug
{{- end }}
{{- end }}
