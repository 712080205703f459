{{- define "clustermesh.kvstoremeshContainer" -}}
{{- $values := .Values.kvstoremesh -}}
{{- $metrics := .Values.metrics.kvstoremesh -}}
name: kvstoremesh
command:
  - /usr/bin/clustermesh-apiserver
args:
  - kvstoremesh
  {{- include "clustermesh.daemonArgs" (list . $values) | nindent 2 }}
  - --clustermesh-config=/var/lib/cilium/clustermesh
  - --clustermesh-cache-ttl={{ $values.cacheTTL }}
  - --import-guard={{ $values.importGuard }}
  - --per-cluster-ready-timeout={{ $values.perClusterReadyTimeout }}
  - --global-ready-timeout={{ $values.globalReadyTimeout }}
  - --health-port={{ $values.healthPort }}
  {{- if $metrics.enabled }}
  - --prometheus-serve-addr=:{{ $metrics.port }}
  - --controller-group-metrics=all
  {{- end }}
  # The apiserver writes the heartbeat key.
  - --enable-heartbeat=false
  {{- with $values.extraArgs }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- include "clustermesh.extraEnv" $values.extraEnv }}
ports:
  - name: kvmesh-health
    containerPort: {{ $values.healthPort }}
    protocol: TCP
  {{- if $metrics.enabled }}
  - name: kvmesh-metrics
    containerPort: {{ $metrics.port }}
    protocol: TCP
  {{- end }}
{{ include "clustermesh.containerBase" (list . "kvstoremesh" $values) }}
{{ include "clustermesh.probes" (list $values "kvmesh-health") }}
volumeMounts:
  - name: etcd-admin-client
    mountPath: /var/lib/cilium/etcd-secrets
    readOnly: true
  - name: kvstoremesh-secrets
    mountPath: /var/lib/cilium/clustermesh
    readOnly: true
  {{- with $values.extraVolumeMounts }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}
