{{/* Template of the Pod. */}}
{{- define "clustermesh.podTemplate" -}}
metadata:
  annotations:
    {{- include "clustermesh.podAnnotations" . | nindent 4 }}
  labels:
    {{- include "clustermesh.overlay" (list (include "clustermesh.labels" . | fromYaml) .Values.podLabels) | nindent 4 }}
spec:
  restartPolicy: Always
  terminationGracePeriodSeconds: {{ .Values.terminationGracePeriodSeconds }}
  serviceAccountName: {{ include "clustermesh.serviceAccountName" . }}
  # The volume kubernetes-api-access gives a token only to the containers that use the Kubernetes API.
  automountServiceAccountToken: false
  enableServiceLinks: false
  {{- with .Values.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  {{- with .Values.image.pullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  securityContext:
    {{- toYaml .Values.podSecurityContext | nindent 4 }}
  initContainers:
    - {{ include "clustermesh.etcdInitContainer" . | indent 6 | trim }}
    {{- with .Values.extraInitContainers }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  containers:
    - {{ include "clustermesh.etcdContainer" . | indent 6 | trim }}
    {{- if .Values.combined.enabled }}
    - {{ include "clustermesh.combinedContainer" . | indent 6 | trim }}
    {{- else }}
    - {{ include "clustermesh.apiserverContainer" . | indent 6 | trim }}
    {{- if .Values.kvstoremesh.enabled }}
    - {{ include "clustermesh.kvstoremeshContainer" . | indent 6 | trim }}
    {{- end }}
    {{- end }}
  volumes:
    {{- include "clustermesh.volumes" . | nindent 4 }}
    {{- with .Values.extraVolumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- with .Values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- $spread := .Values.topologySpreadConstraints }}
  {{- if .Values.etcd.replication.enabled }}{{ $spread = concat .Values.etcd.replication.topologySpreadConstraints $spread }}{{ end }}
  {{- with $spread }}
  topologySpreadConstraints:
    {{- range . }}
    - {{ include "clustermesh.overlay" (list . (dict "labelSelector" (dict "matchLabels" (include "clustermesh.selectorLabels" $ | fromYaml)))) | indent 6 | trim }}
    {{- end }}
  {{- end }}
{{- end }}
