{{/*
The certificates of the mesh, by Secret: the common name, which etcd takes for the name of the user, the alternative names,
and whether it is that of the server.
*/}}
{{- define "clustermesh.certificates" -}}
{{- $cluster := .Values.cluster.name -}}
{{- $host := include "clustermesh.serviceHost" . -}}
{{- $dns := list $host "*.mesh.cilium.io" -}}
{{- if ne .Values.mesh.domain "mesh.cilium.io" }}{{ $dns = append $dns (printf "*.%s" .Values.mesh.domain) }}{{ end -}}
clustermesh-apiserver-server-cert:
  commonName: {{ $host }}
  isServer: true
  dnsNames:
    {{- concat $dns .Values.tls.server.extraDnsNames | uniq | toYaml | nindent 4 }}
  ipAddresses:
    {{- concat (list "127.0.0.1" "::1") .Values.tls.server.extraIpAddresses | uniq | toYaml | nindent 4 }}
clustermesh-apiserver-admin-cert:
  commonName: admin-{{ $cluster }}
clustermesh-apiserver-remote-cert:
  commonName: {{ eq .Values.tls.authMode "cluster" | ternary (printf "remote-%s" $cluster) "remote" }}
clustermesh-apiserver-local-cert:
  commonName: local-{{ $cluster }}
{{- end }}
