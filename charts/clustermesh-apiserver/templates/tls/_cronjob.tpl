{{- define "clustermesh.certsName" -}}
clustermesh-apiserver-generate-certs
{{- end }}

{{/* Spec of the Job and the CronJob. The command is idempotent. */}}
{{- define "clustermesh.certsJobSpec" -}}
backoffLimit: 6
template:
  metadata:
    labels:
      k8s-app: {{ include "clustermesh.certsName" . }}
      app.kubernetes.io/part-of: cilium
  spec:
    restartPolicy: OnFailure
    serviceAccountName: {{ include "clustermesh.certsName" . }}
    enableServiceLinks: false
    {{- with .Values.image.pullSecrets }}
    imagePullSecrets:
      {{- toYaml . | nindent 6 }}
    {{- end }}
    securityContext:
      {{- toYaml .Values.podSecurityContext | nindent 6 }}
    containers:
      - name: certs
        image: {{ include "clustermesh.image" . | quote }}
        imagePullPolicy: {{ .Values.image.pullPolicy }}
        command:
          - /usr/bin/clustermesh-apiserver
        args:
          - certs
          - generate
          - --namespace={{ .Release.Namespace }}
          - --cluster-name={{ .Values.cluster.name }}
          - --ca-secret=cilium-ca
          - --auth-mode={{ .Values.tls.authMode }}
          - --cert-validity-duration={{ mul (int .Values.tls.validityDays) 24 }}h
          - --ca-validity-duration={{ mul (int .Values.tls.caValidityDays) 24 }}h
          {{- $server := index (include "clustermesh.certificates" . | fromYaml) "clustermesh-apiserver-server-cert" }}
          - {{ printf "--extra-dns-names=%s" (join "," $server.dnsNames) | quote }}
          - --extra-ip-addresses={{ join "," $server.ipAddresses }}
          {{- if .Values.etcd.replication.enabled }}
          - --peer
          - --cluster-domain={{ .Values.etcd.replication.clusterDomain }}
          {{- end }}
          {{- with .Values.tls.cronJob.extraArgs }}
          {{- toYaml . | nindent 10 }}
          {{- end }}
        terminationMessagePolicy: FallbackToLogsOnError
        securityContext:
          {{- include "clustermesh.securityContext" dict | nindent 10 }}
        resources:
          {{- .Values.tls.cronJob.resources | default (dict "requests" (dict "cpu" "50m" "memory" "96Mi") "limits" (dict "memory" "256Mi")) | toYaml | nindent 10 }}
    {{- with .Values.nodeSelector }}
    nodeSelector:
      {{- toYaml . | nindent 6 }}
    {{- end }}
    {{- with .Values.tolerations }}
    tolerations:
      {{- toYaml . | nindent 6 }}
    {{- end }}
{{- end }}
