{{- define "clustermesh.podAnnotations" -}}
{{- $own := dict "kubectl.kubernetes.io/default-container" (ternary "kvstoremesh" "apiserver" .Values.combined.enabled) -}}
{{- if and (eq .Values.tls.method "helm") (not .Values.tls.caBundle.enabled) -}}
{{- /* etcd reads the CA of its clients only at startup. */ -}}
{{- $_ := set $own "clustermesh-apiserver/ca-checksum" (sha256sum (include "clustermesh.helmCertificates" . | fromYaml).ca.cert) -}}
{{- end -}}
{{- include "clustermesh.overlay" (list .Values.podAnnotations $own) -}}
{{- end }}

{{/*
Volume with a certificate. Arguments: context, names of the volume and the Secret. The CA bundle replaces ca.crt if enabled.
*/}}
{{- define "clustermesh.certificateVolume" -}}
name: {{ index . 1 }}
projected:
  # Octal. The kubelet adds read permission for fsGroup.
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
{{- if .Values.etcd.replication.enabled }}
- {{ include "clustermesh.certificateVolume" (list . "etcd-peer-secrets" "clustermesh-apiserver-peer-cert") | indent 2 | trim }}
{{- end }}
{{- if not .Values.etcd.persistence.enabled }}
- name: etcd-data-dir
  emptyDir:
    {{- if eq .Values.etcd.storageMedium "Memory" }}
    medium: Memory
    {{- end }}
    # Space for a second database during defragmentation, and for the write-ahead log.
    sizeLimit: {{ add (mul 2 (include "clustermesh.quotaMiB" . | int)) 512 }}Mi
{{- else if not .Values.etcd.replication.enabled }}
- name: etcd-data-dir
  persistentVolumeClaim:
    claimName: {{ .Values.etcd.persistence.existingClaim | default "clustermesh-apiserver-etcd" }}
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
      # Without items, so that adding a cluster does not change the Pod.
      - secret:
          name: cilium-kvstoremesh
          optional: true
      {{- $paths := dict "key" "common-etcd-client.key" "cert" "common-etcd-client.crt" "ca" "common-etcd-client-ca.crt" "optional" true }}
      {{- include "clustermesh.certificateSources" (list . "" "clustermesh-apiserver-remote-cert" $paths) | nindent 6 }}
{{- if .Values.kvstoremesh.importPolicy.enabled }}
- name: import-policy
  configMap:
    name: clustermesh-import-policy
    defaultMode: 0400
{{- end }}
{{- end }}
# The same content as the volume that Kubernetes adds by default.
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

{{/* Spec of the claim of a data directory. */}}
{{- define "clustermesh.claimSpec" -}}
{{- $persistence := .Values.etcd.persistence -}}
accessModes:
  {{- toYaml $persistence.accessModes | nindent 2 }}
{{- with $persistence.storageClass }}
storageClassName: {{ . }}
{{- end }}
resources:
  requests:
    storage: {{ $persistence.size }}
{{- end }}
