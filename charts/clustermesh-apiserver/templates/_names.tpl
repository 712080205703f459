{{/* Agents, the cilium command and remote clusters rely on this name, so it does not depend on the release. */}}
{{- define "clustermesh.name" -}}
clustermesh-apiserver
{{- end }}

{{- define "clustermesh.selectorLabels" -}}
k8s-app: clustermesh-apiserver
{{- end }}

{{- define "clustermesh.labels" -}}
{{ include "clustermesh.selectorLabels" . }}
app.kubernetes.io/name: clustermesh-apiserver
app.kubernetes.io/part-of: cilium
{{- end }}

{{- define "clustermesh.objectLabels" -}}
{{ include "clustermesh.labels" . }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{/*
Merges the mappings of a list into YAML; earlier mappings take precedence. Unlike merge of sprig, it keeps false and empty
values.
*/}}
{{- define "clustermesh.overlay" -}}
{{- $result := dict -}}
{{- range $mapping := reverse . -}}
{{- range $key, $value := $mapping -}}
{{- $_ := set $result $key $value -}}
{{- end -}}
{{- end -}}
{{- with $result -}}
{{- toYaml . -}}
{{- end -}}
{{- end }}

{{/* Metadata of an object. Arguments: context, name, and optionally annotations and labels. */}}
{{- define "clustermesh.metadata" -}}
{{- $context := index . 0 -}}
{{- $rest := concat . (list dict dict) -}}
{{- $annotations := include "clustermesh.overlay" (list (index $rest 2) $context.Values.annotations) -}}
{{- $labels := include "clustermesh.overlay" (list (index $rest 3) (include "clustermesh.objectLabels" $context | fromYaml)) -}}
name: {{ index . 1 }}
namespace: {{ $context.Release.Namespace }}
labels:
  {{- $labels | nindent 2 }}
{{- with $annotations }}
annotations:
  {{- . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "clustermesh.serviceAccountName" -}}
{{ .Values.serviceAccount.name }}
{{- end }}

{{/* Host name of the Service. The server certificate contains it. */}}
{{- define "clustermesh.serviceHost" -}}
{{ include "clustermesh.name" . }}.{{ .Release.Namespace }}.svc
{{- end }}

{{- define "clustermesh.image" -}}
{{- $image := .Values.image -}}
{{- if $image.override -}}
{{ $image.override }}
{{- else if $image.repository -}}
{{ $image.repository }}:{{ $image.tag | default .Chart.AppVersion }}{{ with $image.digest }}@{{ . }}{{ end }}
{{- else -}}
{{- fail "image: set image.override to the whole reference of an image, or image.repository (and image.tag, image.digest)" -}}
{{- end -}}
{{- end }}
