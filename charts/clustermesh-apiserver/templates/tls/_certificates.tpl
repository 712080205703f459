{{/*
Certificates by Secret. etcd uses the common name of a client certificate as the user name.
*/}}
{{- define "clustermesh.certificates" -}}
{{- $cluster := .Values.cluster.name -}}
{{- $host := include "clustermesh.serviceHost" . -}}
{{- $dns := list $host "*.mesh.cilium.io" -}}
{{- if ne .Values.mesh.domain "mesh.cilium.io" }}{{ $dns = append $dns (printf "*.%s" .Values.mesh.domain) }}{{ end -}}
{{- $members := list -}}
{{- if .Values.etcd.replication.enabled -}}
{{- $service := printf "%s.%s.svc" (include "clustermesh.membersName" .) .Release.Namespace -}}
{{- $members = list (printf "*.%s" $service) (printf "*.%s" (include "clustermesh.membersDomain" .)) -}}
{{- $dns = concat $dns $members -}}
{{- end -}}
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
{{- with $members }}
clustermesh-apiserver-peer-cert:
  commonName: peer-{{ $cluster }}
  isServer: true
  # A member is also a client of the others.
  isClient: true
  dnsNames:
    {{- toYaml . | nindent 4 }}
{{- end }}
{{- end }}
