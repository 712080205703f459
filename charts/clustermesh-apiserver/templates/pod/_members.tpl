{{/* Name of the headless Service, which gives each member a host name before its Pod is ready. */}}
{{- define "clustermesh.membersName" -}}
clustermesh-apiserver-peers
{{- end }}

{{/*
Domain of the members, in full: whether the Pod of a member exists must not depend on the DNS of other search domains, which a
cluster without Internet cannot ask.
*/}}
{{- define "clustermesh.membersDomain" -}}
{{ include "clustermesh.membersName" . }}.{{ .Release.Namespace }}.svc.{{ .Values.etcd.replication.clusterDomain }}
{{- end }}

{{/* All members, as --initial-cluster of etcd lists them. */}}
{{- define "clustermesh.initialCluster" -}}
{{- $members := list -}}
{{- range until (int .Values.etcd.replication.members) -}}
{{- $name := printf "%s-%d" (include "clustermesh.name" $) . -}}
{{- $members = append $members (printf "%s=https://%s.%s:2380" $name $name (include "clustermesh.membersDomain" $)) -}}
{{- end -}}
{{- join "," $members -}}
{{- end }}

{{/* Arguments of etcd-init. */}}
{{- define "clustermesh.memberInitArgs" -}}
- --etcd-member-name=$(POD_NAME)
- --etcd-initial-cluster={{ include "clustermesh.initialCluster" . }}
- --etcd-peer-cert-file=/var/lib/etcd-peer-secrets/tls.crt
- --etcd-peer-key-file=/var/lib/etcd-peer-secrets/tls.key
- --etcd-peer-trusted-ca-file=/var/lib/etcd-peer-secrets/ca.crt
- --etcd-peer-cert-allowed-cn=peer-{{ .Values.cluster.name }}
# The certificate with which members are added and replaced.
- --kvstore-opt=etcd.config=/var/lib/cilium/etcd-config.yaml
{{- end }}

{{/* Arguments of etcd. */}}
{{- define "clustermesh.memberArgs" -}}
- --listen-peer-urls=https://0.0.0.0:2380
- --initial-advertise-peer-urls=https://$(POD_NAME).{{ include "clustermesh.membersDomain" . }}:2380
- --peer-client-cert-auth
- --peer-trusted-ca-file=/var/lib/etcd-peer-secrets/ca.crt
- --peer-cert-file=/var/lib/etcd-peer-secrets/tls.crt
- --peer-key-file=/var/lib/etcd-peer-secrets/tls.key
- --peer-cert-allowed-cn=peer-{{ .Values.cluster.name }}
# Otherwise etcd compares the address of a member with the certificate by reverse DNS, which has no names of Pods that are not ready.
- --peer-skip-client-san-verification
{{- end }}
