{{- define "airlift.name" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 50 | trimSuffix "-" }}{{ else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 50 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "airlift.image" -}}
{{- if .Values.image.digest }}{{ .Values.image.repository }}@{{ .Values.image.digest }}{{ else }}{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}{{ end }}
{{- end }}

{{/* Labels that select the pods of one part; they never change. */}}
{{- define "airlift.selector" -}}
app.kubernetes.io/name: {{ .root.Chart.Name }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .part }}
{{- end }}

{{- define "airlift.labels" -}}
{{ include "airlift.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- end }}

{{/* What every pod has: the restricted standard of pod security. */}}
{{- define "airlift.pod" -}}
serviceAccountName: {{ .root.Values.serviceAccount.name }}
automountServiceAccountToken: {{ .root.Values.serviceAccount.automount }}
{{- with .root.Values.imagePullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
securityContext:
  runAsNonRoot: true
  runAsUser: 65532
  runAsGroup: 65532
  fsGroup: 65532
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile: { type: RuntimeDefault }
{{- with .values.nodeSelector }}
nodeSelector: {{ toYaml . | nindent 2 }}
{{- end }}
{{- with .values.tolerations }}
tolerations: {{ toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "airlift.locked" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: { drop: [ALL] }
{{- end }}

{{- define "airlift.claim" -}}
apiVersion: v1
kind: PersistentVolumeClaim
metadata:
  name: {{ include "airlift.name" .root }}-{{ .part }}
  labels: {{ include "airlift.labels" . | nindent 4 }}
  annotations:
    # Content outlives the release.
    helm.sh/resource-policy: keep
spec:
  accessModes: [ReadWriteOnce]
  {{- with .values.persistence.storageClass }}
  storageClassName: {{ . }}
  {{- end }}
  resources:
    requests:
      storage: {{ .values.persistence.size }}
{{- end }}

{{/* Credentials and authorities of containers that ask registries. */}}
{{- define "airlift.access.args" -}}
{{- if .Values.registrySecret }}
- --authfile
- /secrets/registry/.dockerconfigjson
{{- end }}
{{- if .Values.caSecret }}
- --ca-cert
- /secrets/ca/ca.crt
{{- end }}
{{- end }}

{{- define "airlift.access.mounts" -}}
{{- if .Values.registrySecret }}
- { name: registry, mountPath: /secrets/registry, readOnly: true }
{{- end }}
{{- if .Values.caSecret }}
- { name: ca, mountPath: /secrets/ca, readOnly: true }
{{- end }}
{{- end }}

{{- define "airlift.access.volumes" -}}
{{- with .Values.registrySecret }}
- name: registry
  secret: { secretName: {{ . }}, defaultMode: 0440 }
{{- end }}
{{- with .Values.caSecret }}
- name: ca
  secret: { secretName: {{ . }}, defaultMode: 0440 }
{{- end }}
{{- end }}
