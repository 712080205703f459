{{- define "clustermesh.apiserverContainer" -}}
{{- $values := .Values.apiserver -}}
{{- $metrics := .Values.metrics.apiserver -}}
name: apiserver
command:
  - /usr/bin/clustermesh-apiserver
args:
  - clustermesh
  {{- include "clustermesh.daemonArgs" (list . $values) | nindent 2 }}
  - --health-port={{ $values.healthPort }}
  {{- if ne .Values.tls.authMode "legacy" }}
  - --cluster-users-enabled
  - --cluster-users-config-path=/var/lib/cilium/etcd-config/users.yaml
  {{- end }}
  {{- if $metrics.enabled }}
  - --prometheus-serve-addr=:{{ $metrics.port }}
  - --controller-group-metrics=all
  {{- end }}
  {{- if .Values.mcsapi.enabled }}
  - --clustermesh-enable-mcs-api
  - --clustermesh-mcs-api-install-crds={{ .Values.mcsapi.installCRDs }}
  {{- end }}
  {{- if $values.enableCiliumEndpointSlice }}
  - --enable-cilium-endpoint-slice
  {{- end }}
  - --clustermesh-default-global-namespace={{ $values.defaultGlobalNamespace }}
  {{- with $values.export.namespaces }}
  - --export-namespaces={{ join "," . }}
  {{- end }}
  {{- with $values.export.namespaceSelector }}
  - {{ printf "--export-namespace-selector=%s" . | quote }}
  {{- end }}
  {{- with $values.export.selector }}
  - {{ printf "--export-selector=%s" . | quote }}
  {{- end }}
  {{- with $values.extraArgs }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- include "clustermesh.extraEnv" $values.extraEnv }}
ports:
  - name: apiserv-health
    containerPort: {{ $values.healthPort }}
    protocol: TCP
  {{- if $metrics.enabled }}
  - name: apiserv-metrics
    containerPort: {{ $metrics.port }}
    protocol: TCP
  {{- end }}
{{ include "clustermesh.containerBase" (list . "apiserver" $values) }}
{{ include "clustermesh.probes" (list $values "apiserv-health") }}
volumeMounts:
  - name: etcd-admin-client
    mountPath: /var/lib/cilium/etcd-secrets
    readOnly: true
  - name: kubernetes-api-access
    mountPath: /var/run/secrets/kubernetes.io/serviceaccount
    readOnly: true
  {{- if ne .Values.tls.authMode "legacy" }}
  - name: etcd-users-config
    mountPath: /var/lib/cilium/etcd-config
    readOnly: true
  {{- end }}
  {{- with $values.extraVolumeMounts }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}
