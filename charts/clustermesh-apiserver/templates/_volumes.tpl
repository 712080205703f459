{{- define "clustermesh.podAnnotations" -}}
{{- $own := dict "kubectl.kubernetes.io/default-container" "apiserver" -}}
{{- if and (eq .Values.tls.method "helm") (not .Values.tls.caBundle.enabled) -}}
{{- /* etcd reads the authority of its clients once, at its start. */ -}}
{{- $_ := set $own "clustermesh-apiserver/ca-checksum" (sha256sum (include "clustermesh.helmCertificates" . | fromYaml).ca.cert) -}}
{{- end -}}
{{- include "clustermesh.overlay" (list .Values.podAnnotations $own) -}}
{{- end }}

{{/*
The certificate of a Secret as a volume: a list of the context, the names of the volume and the Secret. Where a bundle is
given, it is the authority in place of that which issued the certificate.
*/}}
{{- define "clustermesh.certificateVolume" -}}
name: {{ index . 1 }}
projected:
  # Octal: for the owner to read, and for the group that fsGroup makes its own.
  defaultMode: 0400
  sources:
    {{- include "clustermesh.certificateSources" (append . (dict "key" "tls.key" "cert" "tls.crt" "ca" "ca.crt")) | nindent 4 }}
{{- end }}

{{- define "clustermesh.certificateSources" -}}
{{- $context := index . 0 -}}
{{- $paths := index . 3 -}}
{{- $bundle := $context.Values.tls.caBundle -}}
- secret:
    name: {{ index . 2 }}
    {{- if $paths.optional }}
    optional: true
    {{- end }}
    items:
      - key: tls.key
        path: {{ $paths.key }}
      - key: tls.crt
        path: {{ $paths.cert }}
      {{- if not $bundle.enabled }}
      - key: ca.crt
        path: {{ $paths.ca }}
      {{- end }}
{{- if $bundle.enabled }}
- {{ ternary "secret" "configMap" $bundle.useSecret }}:
    name: {{ $bundle.name }}
    items:
      - key: {{ $bundle.key }}
        path: {{ $paths.ca }}
{{- end }}
{{- end }}

{{- define "clustermesh.volumes" -}}
- {{ include "clustermesh.certificateVolume" (list . "etcd-server-secrets" "clustermesh-apiserver-server-cert") | indent 2 | trim }}
- {{ include "clustermesh.certificateVolume" (list . "etcd-admin-client" "clustermesh-apiserver-admin-cert") | indent 2 | trim }}
- name: etcd-data-dir
  {{- if .Values.etcd.persistence.enabled }}
  persistentVolumeClaim:
    claimName: {{ .Values.etcd.persistence.existingClaim | default "clustermesh-apiserver-etcd" }}
  {{- else }}
  emptyDir:
    {{- if eq .Values.etcd.storageMedium "Memory" }}
    medium: Memory
    {{- end }}
    # Defragmentation writes a second database; the log of etcd comes on top.
    sizeLimit: {{ add (mul 2 (include "clustermesh.quotaMiB" . | int)) 512 }}Mi
  {{- end }}
{{- if ne .Values.tls.authMode "legacy" }}
- name: etcd-users-config
  configMap:
    name: clustermesh-remote-users
    defaultMode: 0400
{{- end }}
{{- if .Values.kvstoremesh.enabled }}
- name: kvstoremesh-secrets
  projected:
    defaultMode: 0400
    sources:
      # All of its keys: a cluster that is added restarts nothing.
      - secret:
          name: cilium-kvstoremesh
          optional: true
      {{- $paths := dict "key" "common-etcd-client.key" "cert" "common-etcd-client.crt" "ca" "common-etcd-client-ca.crt" "optional" true }}
      {{- include "clustermesh.certificateSources" (list . "" "clustermesh-apiserver-remote-cert" $paths) | nindent 6 }}
{{- end }}
# What Kubernetes mounts into every container unless told otherwise.
- name: kubernetes-api-access
  projected:
    defaultMode: 0400
    sources:
      - serviceAccountToken:
          path: token
          expirationSeconds: 3607
      - configMap:
          name: kube-root-ca.crt
          items:
            - key: ca.crt
              path: ca.crt
      - downwardAPI:
          items:
            - path: namespace
              fieldRef:
                fieldPath: metadata.namespace
{{- end }}
