{{- define "clustermesh.etcdInitContainer" -}}
{{- $values := .Values.etcd -}}
name: etcd-init
command:
  - /usr/bin/clustermesh-apiserver
args:
  - etcdinit
  {{- if .Values.debug }}
  - --debug
  {{- end }}
  - --cluster-name={{ .Values.cluster.name }}
  - --etcd-initial-cluster-token=$(INITIAL_CLUSTER_TOKEN)
  - --etcd-data-dir=/var/run/etcd
  {{- if $values.replication.enabled }}
  {{- include "clustermesh.memberInitArgs" . | nindent 2 }}
  {{- else }}
  - --etcd-cluster-name={{ include "clustermesh.name" . }}
  {{- if $values.persistence.enabled }}
  - --etcd-keep-data
  {{- end }}
  {{- end }}
  {{- /* A member that waits for the others answers them only while it runs. */}}
  - --timeout={{ $values.init.timeout | default (ternary "10m" "2m" $values.replication.enabled) }}
  {{- with $values.init.extraArgs }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
env:
  {{- include "clustermesh.etcdEnv" (list . $values.init.extraEnv) | nindent 2 }}
{{- $init := dict "resources" $values.init.resources "securityContext" $values.securityContext "lifecycle" dict }}
{{ include "clustermesh.containerBase" (list . "etcd" $init) }}
volumeMounts:
  - name: etcd-data-dir
    mountPath: /var/run/etcd
  {{- if $values.replication.enabled }}
  - name: etcd-admin-client
    mountPath: /var/lib/cilium/etcd-secrets
    readOnly: true
  - name: etcd-peer-secrets
    mountPath: /var/lib/etcd-peer-secrets
    readOnly: true
  {{- end }}
{{- end }}
