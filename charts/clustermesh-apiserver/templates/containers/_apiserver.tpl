{{- define "clustermesh.apiserverContainer" -}}
name: apiserver
command:
  - /usr/bin/clustermesh-apiserver
args:
  - clustermesh
  {{- include "clustermesh.apiserverFlags" . | nindent 2 }}
{{- include "clustermesh.extraEnv" .Values.apiserver.extraEnv }}
ports:
  {{- include "clustermesh.apiserverPorts" . | nindent 2 }}
{{ include "clustermesh.containerBase" (list . "apiserver" .Values.apiserver) }}
{{ include "clustermesh.probes" (list .Values.apiserver "apiserv-health") }}
volumeMounts:
  {{- include "clustermesh.apiserverMounts" . | nindent 2 }}
{{- end }}

{{- define "clustermesh.apiserverFlags" -}}
{{- $values := .Values.apiserver -}}
{{- $metrics := .Values.metrics.apiserver -}}
{{ include "clustermesh.daemonArgs" (list . $values) }}
- --health-port={{ $values.healthPort }}
{{- if .Values.etcd.replication.enabled }}
# The replicas share one etcd, and one of them writes to it. kvstoremesh always elects a leader.
- --leader-election
{{- end }}
{{- if ne .Values.tls.authMode "legacy" }}
- --cluster-users-enabled
- --cluster-users-config-path=/var/lib/cilium/etcd-config/users.yaml
{{- end }}
{{- if $metrics.enabled }}
- --prometheus-serve-addr=:{{ $metrics.port }}
- --controller-group-metrics=all
{{- end }}
{{- if .Values.mcsapi.enabled }}
- --clustermesh-enable-mcs-api
- --clustermesh-mcs-api-install-crds={{ .Values.mcsapi.installCRDs }}
{{- end }}
{{- if $values.enableCiliumEndpointSlice }}
- --enable-cilium-endpoint-slice
{{- end }}
- --clustermesh-default-global-namespace={{ $values.defaultGlobalNamespace }}
{{- with $values.export.namespaces }}
- --export-namespaces={{ join "," . }}
{{- end }}
{{- with $values.export.namespaceSelector }}
- {{ printf "--export-namespace-selector=%s" . | quote }}
{{- end }}
{{- with $values.export.endpointSelector }}
- {{ printf "--export-endpoint-selector=%s" . | quote }}
{{- end }}
{{- with $values.export.selector }}
- {{ printf "--export-selector=%s" . | quote }}
{{- end }}
{{- with $values.extraArgs }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "clustermesh.apiserverPorts" -}}
- name: apiserv-health
  containerPort: {{ .Values.apiserver.healthPort }}
  protocol: TCP
{{- with .Values.metrics.apiserver }}
{{- if .enabled }}
- name: apiserv-metrics
  containerPort: {{ .port }}
  protocol: TCP
{{- end }}
{{- end }}
{{- end }}

{{- define "clustermesh.apiserverMounts" -}}
- name: etcd-admin-client
  mountPath: /var/lib/cilium/etcd-secrets
  readOnly: true
- name: kubernetes-api-access
  mountPath: /var/run/secrets/kubernetes.io/serviceaccount
  readOnly: true
{{- if ne .Values.tls.authMode "legacy" }}
- name: etcd-users-config
  mountPath: /var/lib/cilium/etcd-config
  readOnly: true
{{- end }}
{{- with .Values.apiserver.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end }}
