{{/*
Environment of etcd and etcd-init. The token determines the ID of a new cluster. Each Pod has its own, so that clients notice that
the history is new. Arguments: context, additional variables.
*/}}
{{- define "clustermesh.etcdEnv" -}}
- name: INITIAL_CLUSTER_TOKEN
  valueFrom:
    fieldRef:
      fieldPath: metadata.uid
{{- if (index . 0).Values.etcd.replication.enabled }}
- name: POD_NAME
  valueFrom:
    fieldRef:
      fieldPath: metadata.name
{{- end }}
{{- with index . 1 }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "clustermesh.etcdContainer" -}}
{{- $values := .Values.etcd -}}
{{- $metrics := .Values.metrics.etcd -}}
name: etcd
command:
  - /usr/bin/etcd
args:
  - --data-dir=/var/run/etcd
  - --name={{ ternary "$(POD_NAME)" (include "clustermesh.name" .) $values.replication.enabled }}
  - --client-cert-auth
  - --trusted-ca-file=/var/lib/etcd-secrets/ca.crt
  - --cert-file=/var/lib/etcd-secrets/tls.crt
  - --key-file=/var/lib/etcd-secrets/tls.key
  # etcd listens on IPv4 and IPv6 with this address.
  - --listen-client-urls=https://0.0.0.0:2379
  - --advertise-client-urls=https://{{ ternary (printf "$(POD_NAME).%s" (include "clustermesh.membersDomain" .)) "localhost" $values.replication.enabled }}:2379
  {{- if $values.replication.enabled }}
  {{- include "clustermesh.memberArgs" . | nindent 2 }}
  {{- end }}
  - --initial-cluster-token=$(INITIAL_CLUSTER_TOKEN)
  {{- if or $values.persistence.enabled $values.replication.enabled }}
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
  {{- include "clustermesh.etcdEnv" (list . $values.extraEnv) | nindent 2 }}
ports:
  - name: etcd
    containerPort: 2379
    protocol: TCP
  {{- if $values.replication.enabled }}
  - name: etcd-peer
    containerPort: 2380
    protocol: TCP
  {{- end }}
  - name: etcd-metrics
    containerPort: {{ $metrics.port }}
    protocol: TCP
{{ include "clustermesh.containerBase" (list . "etcd" $values) }}
{{ include "clustermesh.probes" (list $values "etcd-metrics") }}
volumeMounts:
  - name: etcd-server-secrets
    mountPath: /var/lib/etcd-secrets
    readOnly: true
  {{- if $values.replication.enabled }}
  - name: etcd-peer-secrets
    mountPath: /var/lib/etcd-peer-secrets
    readOnly: true
  {{- end }}
  - name: etcd-data-dir
    mountPath: /var/run/etcd
  {{- with $values.extraVolumeMounts }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}
