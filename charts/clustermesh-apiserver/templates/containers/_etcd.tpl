{{/* The token determines the cluster ID. Each Pod needs its own, so that clients notice that the history is new. */}}
{{- define "clustermesh.tokenEnv" -}}
- name: INITIAL_CLUSTER_TOKEN
  valueFrom:
    fieldRef:
      fieldPath: metadata.uid
{{- end }}

{{- define "clustermesh.etcdContainer" -}}
{{- $values := .Values.etcd -}}
{{- $metrics := .Values.metrics.etcd -}}
name: etcd
command:
  - /usr/bin/etcd
args:
  - --data-dir=/var/run/etcd
  - --name={{ include "clustermesh.name" . }}
  - --client-cert-auth
  - --trusted-ca-file=/var/lib/etcd-secrets/ca.crt
  - --cert-file=/var/lib/etcd-secrets/tls.crt
  - --key-file=/var/lib/etcd-secrets/tls.key
  # etcd listens on IPv4 and IPv6 with this address.
  - --listen-client-urls=https://0.0.0.0:2379
  - --advertise-client-urls=https://localhost:2379
  - --initial-cluster-token=$(INITIAL_CLUSTER_TOKEN)
  {{- if $values.persistence.enabled }}
  # On an empty volume etcd would start without users. With this flag it fails instead.
  - --initial-cluster-state=existing
  {{- end }}
  - --auto-compaction-mode={{ $values.compaction.mode }}
  - --auto-compaction-retention={{ $values.compaction.retention }}
  - --quota-backend-bytes={{ mul (include "clustermesh.quotaMiB" . | int) 1048576 }}
  {{- with $values.defragmentation.atStartMiB }}
  - --bootstrap-defrag-threshold-megabytes={{ int . }}
  {{- end }}
  # The gateway would connect with the server certificate, which is not valid for clients.
  - --enable-grpc-gateway=false
  # The probes use this address even if metrics are disabled.
  - --listen-metrics-urls=http://0.0.0.0:{{ $metrics.port }}
  - --metrics={{ $metrics.mode }}
  {{- with $values.extraArgs }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
env:
  {{- include "clustermesh.tokenEnv" . | nindent 2 }}
  {{- with $values.extraEnv }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
ports:
  - name: etcd
    containerPort: 2379
    protocol: TCP
  - name: etcd-metrics
    containerPort: {{ $metrics.port }}
    protocol: TCP
{{ include "clustermesh.containerBase" (list . "etcd" $values) }}
{{ include "clustermesh.probes" (list $values "etcd-metrics") }}
volumeMounts:
  - name: etcd-server-secrets
    mountPath: /var/lib/etcd-secrets
    readOnly: true
  - name: etcd-data-dir
    mountPath: /var/run/etcd
  {{- with $values.extraVolumeMounts }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}
