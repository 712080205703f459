{{/*
Resources by mesh size, in MiB and milli-CPUs. There is no CPU limit, because it would slow down the initial sync.
*/}}
{{- define "clustermesh.sizes" -}}
small:
  etcd: {cpu: 100, memory: 256, memoryLimit: 768, quota: 512}
  apiserver: {cpu: 50, memory: 160, memoryLimit: 384}
  kvstoremesh: {cpu: 50, memory: 160, memoryLimit: 384}
medium:
  etcd: {cpu: 250, memory: 512, memoryLimit: 1536, quota: 1024}
  apiserver: {cpu: 100, memory: 288, memoryLimit: 768}
  kvstoremesh: {cpu: 100, memory: 288, memoryLimit: 768}
large:
  etcd: {cpu: 1000, memory: 1536, memoryLimit: 5120, quota: 4096}
  apiserver: {cpu: 250, memory: 512, memoryLimit: 2048}
  kvstoremesh: {cpu: 500, memory: 1024, memoryLimit: 3072}
xlarge:
  etcd: {cpu: 2000, memory: 4096, memoryLimit: 10240, quota: 8192}
  apiserver: {cpu: 500, memory: 1024, memoryLimit: 4096}
  kvstoremesh: {cpu: 1000, memory: 3072, memoryLimit: 8192}
{{- end }}

{{/* etcd quota in MiB. */}}
{{- define "clustermesh.quotaMiB" -}}
{{- $preset := index (include "clustermesh.sizes" . | fromYaml) .Values.meshSize "etcd" -}}
{{ int (.Values.etcd.quotaMiB | default $preset.quota) }}
{{- end }}

{{/* The sum of both daemons, less one Node runtime of 64 MiB. Argument: the presets of a mesh size. */}}
{{- define "clustermesh.combinedSize" -}}
cpu: {{ add .apiserver.cpu .kvstoremesh.cpu }}
memory: {{ sub (add .apiserver.memory .kvstoremesh.memory) 64 }}
memoryLimit: {{ sub (add .apiserver.memoryLimit .kvstoremesh.memoryLimit) 64 }}
{{- end }}

{{/* Resources of a container. Arguments: context, name and values of the container. */}}
{{- define "clustermesh.resources" -}}
{{- $context := index . 0 -}}
{{- $container := index . 1 -}}
{{- $values := index . 2 -}}
{{- if $values.resources -}}
{{- toYaml $values.resources -}}
{{- else -}}
{{- $presets := index (include "clustermesh.sizes" $context | fromYaml) $context.Values.meshSize -}}
{{- $preset := get $presets $container -}}
{{- if eq $container "combined" }}{{ $preset = include "clustermesh.combinedSize" $presets | fromYaml }}{{ end -}}
{{- $limit := int $preset.memoryLimit -}}
{{- if and (eq $container "etcd") (eq $context.Values.etcd.storageMedium "Memory") -}}
{{- /* The tmpfs counts towards the memory limit. */ -}}
{{- $limit = add $limit (include "clustermesh.quotaMiB" $context | int) -}}
{{- end -}}
requests:
  cpu: {{ int $preset.cpu }}m
  memory: {{ int $preset.memory }}Mi
limits:
  memory: {{ $limit }}Mi
{{- end -}}
{{- end }}
