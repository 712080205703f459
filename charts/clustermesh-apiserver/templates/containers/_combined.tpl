{{/*
One container with both daemons. `cilium clustermesh status` runs kvstoremesh-dbg in a container of this name, and reports
KVStoreMesh as disabled if there is none.
*/}}
{{- define "clustermesh.combinedContainer" -}}
name: kvstoremesh
command:
  - /usr/bin/clustermesh-apiserver
args:
  - combined
  {{- include "clustermesh.apiserverFlags" . | nindent 2 }}
  - '--'
  {{- include "clustermesh.kvstoremeshFlags" . | nindent 2 }}
{{- include "clustermesh.extraEnv" (concat (include "clustermesh.reportsEnv" . | fromYamlArray) .Values.apiserver.extraEnv .Values.kvstoremesh.extraEnv | uniq) }}
ports:
  {{- include "clustermesh.apiserverPorts" . | nindent 2 }}
  {{- include "clustermesh.kvstoremeshPorts" . | nindent 2 }}
{{ include "clustermesh.containerBase" (list . "combined" .Values.combined) }}
{{- /* A container has one probe of each kind; both ports are ready once both daemons are. */}}
{{ include "clustermesh.probes" (list .Values.combined "apiserv-health") }}
volumeMounts:
  {{- $mounts := concat (include "clustermesh.apiserverMounts" . | fromYamlArray) (include "clustermesh.kvstoremeshMounts" . | fromYamlArray) }}
  {{- uniq $mounts | toYaml | nindent 2 }}
{{- end }}
