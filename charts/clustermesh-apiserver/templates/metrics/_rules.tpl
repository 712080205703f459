{{/*
Groups of rules about the components whose metrics are served, as `groups`. The files are valid for Prometheus itself; the name
of the cluster, the job and the location of the runbook are replaced here.
*/}}
{{- define "clustermesh.ruleGroups" -}}
{{- $metrics := .Values.metrics -}}
{{- $names := list -}}
{{- if $metrics.apiserver.enabled }}{{ $names = append $names "clustermesh" }}{{ end -}}
{{- if and .Values.kvstoremesh.enabled $metrics.kvstoremesh.enabled }}{{ $names = append $names "kvstoremesh" }}{{ end -}}
{{- if $names }}{{ $names = append $names "objectives" }}{{ end -}}
{{- if $metrics.etcd.enabled }}{{ $names = append $names "etcd" }}{{ end -}}
{{- if $names }}{{ $names = append $names "targets" }}{{ end -}}
{{- $groups := list -}}
{{- range $names -}}
{{- $text := $.Files.Get (printf "files/rules/%s.yaml" .) -}}
{{- $text = $text | replace "\"this cluster\"" (quote $.Values.cluster.name) -}}
{{- $text = $text | replace "job=\"clustermesh-apiserver-metrics\"" (printf "job=%q" $metrics.prometheusRule.job) -}}
{{- $text = $text | replace "docs/operate.md#" (printf "%s#" $metrics.prometheusRule.runbook) -}}
{{- $groups = concat $groups (fromYaml $text).groups -}}
{{- end -}}
{{- toYaml (dict "groups" $groups) -}}
{{- end }}
