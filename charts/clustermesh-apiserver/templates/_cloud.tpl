{{/* Annotations for an internal load balancer. Argument: the values of the Service. */}}
{{- define "clustermesh.cloudAnnotations" -}}
{{- if eq .type "LoadBalancer" -}}
{{- if eq .cloud "aks" -}}
service.beta.kubernetes.io/azure-load-balancer-internal: 'true'
{{- else if eq .cloud "eks" -}}
service.beta.kubernetes.io/aws-load-balancer-scheme: internal
{{- else if eq .cloud "gke" -}}
networking.gke.io/load-balancer-type: Internal
networking.gke.io/internal-load-balancer-allow-global-access: 'true'
{{- end -}}
{{- end -}}
{{- end }}
