{{/* Metrics ports as a list of `name` and `port`. */}}
{{- define "clustermesh.metricsPorts" -}}
{{- $metrics := .Values.metrics -}}
{{- $ports := list -}}
{{- if $metrics.apiserver.enabled }}{{ $ports = append $ports (dict "name" "apiserv-metrics" "port" $metrics.apiserver.port) }}{{ end -}}
{{- if and .Values.kvstoremesh.enabled $metrics.kvstoremesh.enabled }}{{ $ports = append $ports (dict "name" "kvmesh-metrics" "port" $metrics.kvstoremesh.port) }}{{ end -}}
{{- if $metrics.etcd.enabled }}{{ $ports = append $ports (dict "name" "etcd-metrics" "port" $metrics.etcd.port) }}{{ end -}}
{{- toYaml (dict "ports" $ports) -}}
{{- end }}
