{{/* Common fields of containers. Arguments: context, name and values of the container. */}}
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

{{/* Security context of a container. Argument: the values, which override the defaults. */}}
{{- define "clustermesh.securityContext" -}}
{{- $defaults := dict "allowPrivilegeEscalation" false "readOnlyRootFilesystem" true "capabilities" (dict "drop" (list "ALL")) -}}
{{- include "clustermesh.overlay" (list . $defaults) -}}
{{- end }}

{{/*
Probes of a container. Arguments: values of the container, port name. The periods are short because a first probe that fails
delays readiness by a whole period.
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

{{/* Arguments of both daemons. Arguments: context, values of the container. */}}
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
