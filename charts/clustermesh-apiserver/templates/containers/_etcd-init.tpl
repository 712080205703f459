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
  {{- if .Values.etcd.persistence.enabled }}
  - --etcd-keep-data
  {{- end }}
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
