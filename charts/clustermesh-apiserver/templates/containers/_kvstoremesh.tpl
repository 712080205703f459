{{- define "clustermesh.kvstoremeshContainer" -}}
name: kvstoremesh
command:
  - /usr/bin/clustermesh-apiserver
args:
  - kvstoremesh
  {{- include "clustermesh.kvstoremeshFlags" . | nindent 2 }}
{{- include "clustermesh.extraEnv" (concat (include "clustermesh.reportsEnv" . | fromYamlArray) .Values.kvstoremesh.extraEnv) }}
ports:
  {{- include "clustermesh.kvstoremeshPorts" . | nindent 2 }}
{{ include "clustermesh.containerBase" (list . "kvstoremesh" .Values.kvstoremesh) }}
{{ include "clustermesh.probes" (list .Values.kvstoremesh "kvmesh-health") }}
volumeMounts:
  {{- include "clustermesh.kvstoremeshMounts" . | nindent 2 }}
{{- end }}

{{- define "clustermesh.kvstoremeshFlags" -}}
{{- $values := .Values.kvstoremesh -}}
{{- $metrics := .Values.metrics.kvstoremesh -}}
{{ include "clustermesh.daemonArgs" (list . $values) }}
- --clustermesh-config=/var/lib/cilium/clustermesh
- --clustermesh-cache-ttl={{ $values.cacheTTL }}
- --import-guard={{ $values.importGuard }}
{{- if $values.importPolicy.enabled }}
- --import-policy=/var/lib/cilium/import-policy/policy.yaml
{{- end }}
- --per-cluster-ready-timeout={{ $values.perClusterReadyTimeout }}
- --global-ready-timeout={{ $values.globalReadyTimeout }}
- --health-port={{ $values.healthPort }}
{{- if $metrics.enabled }}
- --prometheus-serve-addr=:{{ $metrics.port }}
- --controller-group-metrics=all
{{- end }}
# The apiserver writes the heartbeat key.
- --enable-heartbeat=false
{{- if $values.reports.events }}
- --k8s-events
{{- end }}
{{- with $values.reports.statusConfigMap }}
- --k8s-status-configmap={{ . }}
{{- end }}
{{- with $values.extraArgs }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* The Pod that Events are about. Its namespace is known from the service account. */}}
{{- define "clustermesh.reportsEnv" -}}
{{- if include "clustermesh.hasReports" . }}
- name: CILIUM_K8S_POD_NAME
  valueFrom:
    fieldRef:
      fieldPath: metadata.name
- name: CILIUM_K8S_POD_UID
  valueFrom:
    fieldRef:
      fieldPath: metadata.uid
{{- else }}
[]
{{- end }}
{{- end }}

{{- define "clustermesh.hasReports" -}}
{{- with .Values.kvstoremesh }}{{ if and .enabled (or .reports.events .reports.statusConfigMap) }}true{{ end }}{{ end }}
{{- end }}

{{- define "clustermesh.kvstoremeshPorts" -}}
- name: kvmesh-health
  containerPort: {{ .Values.kvstoremesh.healthPort }}
  protocol: TCP
{{- with .Values.metrics.kvstoremesh }}
{{- if .enabled }}
- name: kvmesh-metrics
  containerPort: {{ .port }}
  protocol: TCP
{{- end }}
{{- end }}
{{- end }}

{{- define "clustermesh.kvstoremeshMounts" -}}
- name: etcd-admin-client
  mountPath: /var/lib/cilium/etcd-secrets
  readOnly: true
- name: kvstoremesh-secrets
  mountPath: /var/lib/cilium/clustermesh
  readOnly: true
{{- if .Values.kvstoremesh.importPolicy.enabled }}
# As a directory: a single file would not follow the ConfigMap.
- name: import-policy
  mountPath: /var/lib/cilium/import-policy
  readOnly: true
{{- end }}
{{- if include "clustermesh.hasReports" . }}
- name: kubernetes-api-access
  mountPath: /var/run/secrets/kubernetes.io/serviceaccount
  readOnly: true
{{- end }}
{{- with .Values.kvstoremesh.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end }}
