{{/* The token names the etcd cluster: each Pod is another one, so that no client takes its history for that of its predecessor. */}}
{{- define "clustermesh.tokenEnv" -}}
- name: INITIAL_CLUSTER_TOKEN
  valueFrom:
    fieldRef:
      fieldPath: metadata.uid
{{- end }}

{{/* Whether each Pod starts with an empty etcd: not empty if so. */}}
{{- define "clustermesh.isInitialized" -}}
{{- if or (not .Values.etcd.persistence.enabled) .Values.etcd.persistence.initialize }}true{{ end -}}
{{- end }}

{{- define "clustermesh.etcdInitContainer" -}}
name: etcd-init
command:
  - /usr/bin/clustermesh-apiserver
args:
  - etcdinit
  {{- if .Values.debug }}
  - --debug
  {{- end }}
  - --cluster-name={{ .Values.cluster.name }}
  - --etcd-cluster-name={{ include "clustermesh.name" . }}
  - --etcd-initial-cluster-token=$(INITIAL_CLUSTER_TOKEN)
  - --etcd-data-dir=/var/run/etcd
  - --timeout={{ .Values.etcd.init.timeout }}
  {{- with .Values.etcd.init.extraArgs }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
env:
  {{- include "clustermesh.tokenEnv" . | nindent 2 }}
  {{- with .Values.etcd.init.extraEnv }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- $init := dict "resources" .Values.etcd.init.resources "securityContext" .Values.etcd.securityContext "lifecycle" dict }}
{{ include "clustermesh.containerBase" (list . "etcd" $init) }}
volumeMounts:
  - name: etcd-data-dir
    mountPath: /var/run/etcd
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
  # Not the address of the Pod: this listens to both families, whichever the Pod has.
  - --listen-client-urls=https://0.0.0.0:2379
  - --advertise-client-urls=https://localhost:2379
  - --initial-cluster-token=$(INITIAL_CLUSTER_TOKEN)
  {{- if not (include "clustermesh.isInitialized" .) }}
  # It would begin an etcd without users on an empty volume; so it refuses that.
  - --initial-cluster-state=existing
  {{- end }}
  - --auto-compaction-mode={{ $values.compaction.mode }}
  - --auto-compaction-retention={{ $values.compaction.retention }}
  - --quota-backend-bytes={{ mul (include "clustermesh.quotaMiB" . | int) 1048576 }}
  {{- with $values.defragmentation.atStartMiB }}
  - --bootstrap-defrag-threshold-megabytes={{ int . }}
  {{- end }}
  # It would dial etcd with the certificate of the server, which is none of a client.
  - --enable-grpc-gateway=false
  # Also without metrics: the probes ask here.
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
