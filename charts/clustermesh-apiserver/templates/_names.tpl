{{/* Agents, the cilium command and other clusters look for the objects by these names, whatever the release is called. */}}
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
A mapping as YAML: those of a list, where the first one that has a key wins. Not sprig's merge, for which a false or an empty
value is one that is missing.
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

{{/* The metadata of an object: a list of the context, the name, and optionally more annotations and more labels. */}}
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

{{/* The Service as agents and the other programs of the cluster call it: a name of the server's certificate. */}}
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
