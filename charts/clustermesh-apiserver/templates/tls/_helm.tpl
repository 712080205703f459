{{/*
Certificates issued by Helm: `ca` with `cert`, `key` and `isOwn`, and `leaves` by Secret with `cert`, `key` and `annotations`.
Certificates of the cluster are kept until less than a third of their validity is left, or until their names or the CA change.
The result is cached, because each call would issue new certificates.
*/}}
{{- define "clustermesh.helmCertificates" -}}
{{- if not (hasKey .Values.tls "made") -}}
{{- $ca := include "clustermesh.helmAuthority" . | fromYaml -}}
{{- $signer := buildCustomCert (b64enc $ca.cert) (b64enc $ca.key) -}}
{{- $leaves := dict -}}
{{- range $name, $certificate := include "clustermesh.certificates" . | fromYaml -}}
{{- $leaf := include "clustermesh.helmLeaf" (list $ $name $certificate $ca.cert) | fromYaml -}}
{{- if not $leaf.cert -}}
{{- $days := int $.Values.tls.validityDays -}}
{{- $made := genSignedCertWithKey $certificate.commonName ($certificate.ipAddresses | default list) ($certificate.dnsNames | default list) $days $signer (genPrivateKey "ecdsa") -}}
{{- $_ := set $leaf "cert" $made.Cert -}}
{{- $_ := set $leaf "key" $made.Key -}}
{{- end -}}
{{- $_ := set $leaves $name $leaf -}}
{{- end -}}
{{- $_ := set .Values.tls "made" (dict "ca" $ca "leaves" $leaves) -}}
{{- end -}}
{{- toYaml .Values.tls.made -}}
{{- end }}

{{/* The CA of the Secret cilium-ca, which may not belong to this release, or a new CA. */}}
{{- define "clustermesh.helmAuthority" -}}
{{- $secret := lookup "v1" "Secret" .Release.Namespace "cilium-ca" -}}
{{- $data := $secret.data | default dict -}}
{{- if $secret -}}
{{- if not (and (index $data "ca.crt") (index $data "ca.key")) -}}
{{- fail "the Secret cilium-ca has no ca.crt or no ca.key, and certificates cannot be issued: add them, or choose another tls.method" -}}
{{- end -}}
{{- toYaml (dict "cert" (index $data "ca.crt" | b64dec) "key" (index $data "ca.key" | b64dec) "isOwn" (include "clustermesh.isOwn" (list . $secret) | eq "true")) -}}
{{- else -}}
{{- $made := genCAWithKey "Cilium CA" (int .Values.tls.caValidityDays) (genPrivateKey "ecdsa") -}}
{{- toYaml (dict "cert" $made.Cert "key" $made.Key "isOwn" true) -}}
{{- end -}}
{{- end }}

{{/* Annotations of a certificate, and the certificate of the cluster if it is valid. Arguments: context, Secret, certificate, CA. */}}
{{- define "clustermesh.helmLeaf" -}}
{{- $context := index . 0 -}}
{{- $days := int $context.Values.tls.validityDays -}}
{{- $issuedFor := list (index . 2) (index . 3) $days | toJson | sha256sum -}}
{{- $secret := lookup "v1" "Secret" $context.Release.Namespace (index . 1) -}}
{{- $found := ($secret.metadata | default dict).annotations | default dict -}}
{{- $renewAfter := index $found "clustermesh-apiserver/renew-after" | default "0" -}}
{{- $now := now | unixEpoch | int64 -}}
{{- $isCurrent := and (eq (index $found "clustermesh-apiserver/issued-for" | default "") $issuedFor) (gt (int64 $renewAfter) $now) -}}
{{- if not $isCurrent }}{{ $renewAfter = add $now (mul $days 57600) | toString }}{{ end -}}
{{- $leaf := dict "annotations" (dict "clustermesh-apiserver/issued-for" $issuedFor "clustermesh-apiserver/renew-after" $renewAfter) -}}
{{- if $isCurrent -}}
{{- $_ := set $leaf "cert" (index $secret.data "tls.crt" | b64dec) -}}
{{- $_ := set $leaf "key" (index $secret.data "tls.key" | b64dec) -}}
{{- end -}}
{{- toYaml $leaf -}}
{{- end }}

{{/* `true` if the object belongs to this release. Arguments: context, object. */}}
{{- define "clustermesh.isOwn" -}}
{{- $release := (index . 0).Release -}}
{{- $annotations := (index . 1).metadata.annotations | default dict -}}
{{- $isName := eq (index $annotations "meta.helm.sh/release-name" | default "") $release.Name -}}
{{- and $isName (eq (index $annotations "meta.helm.sh/release-namespace" | default "") $release.Namespace) -}}
{{- end }}
