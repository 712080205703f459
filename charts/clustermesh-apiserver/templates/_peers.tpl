{{/* Enabled remote clusters by name. */}}
{{- define "clustermesh.peers" -}}
{{- $peers := dict -}}
{{- range $name, $peer := .Values.mesh.clusters -}}
{{- if or (not (hasKey $peer "enabled")) $peer.enabled }}{{ $_ := set $peers $name $peer }}{{ end -}}
{{- end -}}
{{- toYaml $peers -}}
{{- end }}

{{/* etcd client configuration. Arguments: endpoint, file name prefix of the certificate, host aliases. */}}
{{- define "clustermesh.clientFile" -}}
{{- $directory := "/var/lib/cilium/clustermesh" -}}
{{- $files := index . 1 -}}
endpoints:
  - {{ index . 0 }}
trusted-ca-file: {{ $directory }}/{{ $files }}-ca.crt
key-file: {{ $directory }}/{{ $files }}.key
cert-file: {{ $directory }}/{{ $files }}.crt
{{- with index . 2 }}
cilium-host-aliases:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* Client configuration for the etcd of a remote cluster. Arguments: context, name and values of the cluster. */}}
{{- define "clustermesh.remoteClientFile" -}}
{{- $context := index . 0 -}}
{{- $peer := index . 2 -}}
{{- $port := int ($peer.port | default 2379) -}}
{{- if $peer.ips -}}
{{- $host := printf "%s.%s" (index . 1) $context.Values.mesh.domain -}}
{{- $aliases := list (dict "hostname" $host "ips" $peer.ips) -}}
{{- include "clustermesh.clientFile" (list (printf "https://%s:%d" $host $port) "common-etcd-client" $aliases) -}}
{{- else -}}
{{- $host := ternary (printf "[%s]" $peer.address) $peer.address (contains ":" $peer.address) -}}
{{- include "clustermesh.clientFile" (list (printf "https://%s:%d" $host $port) "common-etcd-client" list) -}}
{{- end -}}
{{- end }}
