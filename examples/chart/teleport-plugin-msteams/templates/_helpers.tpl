{{- define "msteams.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* Only the release name if it already contains the name of the chart. */}}
{{- define "msteams.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride }}
{{- $both := ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) }}
{{- default $both .Values.fullnameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "msteams.selector" -}}
app.kubernetes.io/name: {{ include "msteams.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "msteams.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{ include "msteams.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | replace "+" "_" | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "msteams.image" -}}
{{ .Values.image.repository }}:{{ default .Chart.AppVersion .Values.image.tag | toString | replace "+" "_" }}
{{- end }}

{{- define "msteams.address" -}}
{{ coalesce .Values.teleport.address .Values.tbot.teleportProxyAddress .Values.tbot.teleportAuthAddress | default "" }}
{{- end }}

{{- define "msteams.identitySecret" -}}
{{- if .Values.teleport.identitySecretName }}
{{- .Values.teleport.identitySecretName }}
{{- else if .Values.tbot.enabled }}
{{- printf "%s-%s-out" .Release.Name (default "tbot" .Values.tbot.nameOverride) }}
{{- end }}
{{- end }}

{{- define "msteams.identityKey" -}}
{{ ternary "identity" .Values.teleport.identitySecretPath .Values.tbot.enabled }}
{{- end }}

{{- define "msteams.appSecret" -}}
{{ default (printf "%s-secret" (include "msteams.fullname" .)) .Values.msTeams.appSecretFromSecret }}
{{- end }}

{{/* "true" if the credential of the app is in a Secret, empty otherwise. */}}
{{- define "msteams.usesAppSecret" -}}
{{- if ne .Values.msTeams.credential "workloadIdentity" }}true{{ end }}
{{- end }}

{{/* "true" if the chart creates the Secret, empty otherwise. */}}
{{- define "msteams.ownsAppSecret" -}}
{{- if and .Values.msTeams.appSecret (not .Values.msTeams.appSecretFromSecret) }}true{{ end }}
{{- end }}

{{- define "msteams.diagPort" -}}
{{ splitList ":" .Values.diagAddr | last }}
{{- end }}

{{- define "msteams.reviewService" -}}
{{ include "msteams.fullname" . | trunc 56 | trimSuffix "-" }}-review
{{- end }}

{{/* Fails with the list of all missing values, instead of creating a pod that cannot start. */}}
{{- define "msteams.check" -}}
{{- $missing := list }}
{{- if not .Values.image.repository }}
{{- $missing = append $missing "image.repository: set the repository that you pushed the image to, such as registry.example.com/teleport-plugin-msteams" }}
{{- end }}
{{- if not (include "msteams.address" .) }}
{{- $missing = append $missing "teleport.address: set host:port, such as teleport.example.com:443" }}
{{- end }}
{{- if not (include "msteams.identitySecret" .) }}
{{- $missing = append $missing "teleport.identitySecretName: name the Secret with the identity file, or set tbot.enabled" }}
{{- end }}
{{- if not (include "msteams.identityKey" .) }}
{{- $missing = append $missing "teleport.identitySecretPath: name the key of the identity file in that Secret; Teleport's guide uses identity" }}
{{- end }}
{{- if not .Values.msTeams.appID }}
{{- $missing = append $missing "msTeams.appID: set the application (client) ID of the Azure bot" }}
{{- end }}
{{- if not .Values.msTeams.tenantID }}
{{- $missing = append $missing "msTeams.tenantID: set the directory (tenant) ID" }}
{{- end }}
{{- if not .Values.msTeams.teamsAppID }}
{{- $missing = append $missing "msTeams.teamsAppID: set the TeamsAppID that `teleport-msteams configure` printed" }}
{{- end }}
{{- if not (hasKey .Values.roleToRecipients "*") }}
{{- $missing = append $missing "roleToRecipients.\"*\": set the recipients for roles without their own entry; use [] for none" }}
{{- end }}
{{- if $missing }}
{{- fail (printf "\n\nThese values are missing:\n  %s\n" (join "\n  " $missing)) }}
{{- end }}
{{- if not (include "msteams.usesAppSecret" .) }}
{{- if or .Values.msTeams.appSecret .Values.msTeams.appSecretFromSecret }}
{{- fail "\n\nmsTeams.credential: workloadIdentity needs no Secret; remove msTeams.appSecret and appSecretFromSecret\n" }}
{{- end }}
{{- if not .Values.serviceAccountName }}
{{- fail "\n\nserviceAccountName: name the service account with the annotation azure.workload.identity/client-id\n" }}
{{- end }}
{{- end }}
{{- if and .Values.serviceMonitor.enabled (not .Values.diagAddr) }}
{{- fail "\n\nserviceMonitor.enabled: set diagAddr too; the metrics are served there\n" }}
{{- end }}
{{- if and .Values.review.ingress.enabled (not .Values.review.enabled) }}
{{- fail "\n\nreview.ingress.enabled: set review.enabled too\n" }}
{{- end }}
{{- if and .Values.review.ingress.enabled (not .Values.review.ingress.host) }}
{{- fail "\n\nreview.ingress.host: set the public host name of the bot's messaging endpoint\n" }}
{{- end }}
{{- if and .Values.review.enabled (eq (toString .Values.review.port) (include "msteams.diagPort" .)) }}
{{- fail "\n\nreview.port: set another port than that of diagAddr\n" }}
{{- end }}
{{- if and .Values.customCA.secretName .Values.customCA.configMapName }}
{{- fail "\n\ncustomCA: set secretName or configMapName, not both\n" }}
{{- end }}
{{- end }}
