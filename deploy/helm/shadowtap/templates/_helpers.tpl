{{- define "shadowtap.name" -}}
{{- default .Release.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "shadowtap.selector" -}}
app.kubernetes.io/name: shadowtap
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "shadowtap.labels" -}}
{{ include "shadowtap.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{/* Where the metrics page listens, as an argument; $(NODE_ADDRESS) is filled in on the node. */}}
{{- define "shadowtap.address" -}}
{{- if .Values.metrics.address -}}
{{ .Values.metrics.address }}
{{- else if .Values.podMonitor.enabled -}}
$(NODE_ADDRESS)
{{- else -}}
127.0.0.1
{{- end -}}
{{- end }}
