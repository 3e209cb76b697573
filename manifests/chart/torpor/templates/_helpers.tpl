{{/* What the names of all objects begin with: the release's own name, as far as the name of a Service,
63 characters, has room for it and for the longest ending, "-autoscaler-metrics". */}}
{{- define "torpor.fullname" -}}
{{- $name := .Values.fullnameOverride | default .Release.Name | replace "." "-" -}}
{{- if gt (len $name) 44 -}}
{{ printf "%s-%s" ($name | trunc 37 | trimSuffix "-") ($name | sha256sum | trunc 6) }}
{{- else -}}
{{ $name }}
{{- end -}}
{{- end }}

{{/* Labels of everything; called with (list $ COMPONENT), where an empty component is for all. */}}
{{- define "torpor.labels" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: torpor
app.kubernetes.io/instance: {{ $root.Release.Name }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
{{- with index . 1 }}
app.kubernetes.io/component: {{ . }}
{{- end }}
{{- end }}

{{/* What finds the pods of a component; never changes, because a Deployment's can't. */}}
{{- define "torpor.selector" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: torpor
app.kubernetes.io/instance: {{ $root.Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}

{{/* How much a component tells, where a value says so. */}}
{{- define "torpor.logEnv" -}}
{{- with .Values.logLevel -}}
- name: TORPOR_LOG_LEVEL
  value: {{ . | quote }}
{{- end }}
{{- end }}

{{/* Where the autoscaler sends traces, in OpenTelemetry's own variables, and whose they are. */}}
{{- define "torpor.traceEnv" -}}
{{- with .Values.autoscaler.openTelemetry }}
{{- if .endpoint -}}
- name: OTEL_EXPORTER_OTLP_ENDPOINT
  value: {{ .endpoint | quote }}
{{- $names := list }}
{{- range .env }}{{ $names = append $names .name }}{{ end }}
{{- if not (has "OTEL_RESOURCE_ATTRIBUTES" $names) }}
- name: OTEL_RESOURCE_ATTRIBUTES
  value: k8s.namespace.name={{ $.Release.Namespace }},k8s.pod.name=$(POD_NAME)
{{- end }}
{{- with .env }}
{{ toYaml . }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{/* The way there, as an egress rule: the least that is known of it. Policies know pods and their ports,
not Services and theirs. */}}
{{- define "torpor.traceEgress" -}}
{{- $traces := .Values.autoscaler.openTelemetry -}}
{{- $url := urlParse $traces.endpoint -}}
{{- $own := regexFind ":[0-9]+$" $url.host | trimPrefix ":" | default (ternary "443" "80" (eq $url.scheme "https")) -}}
{{- $labels := splitList "." $url.hostname -}}
{{- $namespace := "" -}}
{{- if and (eq (len $labels) 1) (not (contains ":" $url.hostname)) -}}
{{- $namespace = .Release.Namespace -}}
{{- else if and (ge (len $labels) 3) (eq (slice $labels 2 | first) "svc") -}}
{{- $namespace = index $labels 1 -}}
{{- end -}}
ports:
  - {protocol: TCP, port: {{ $traces.port | default $own }}}
{{- if $traces.to }}
to:
  {{- toYaml $traces.to | nindent 2 }}
{{- else if $namespace }}
to:
  - namespaceSelector:
      matchLabels: {kubernetes.io/metadata.name: {{ $namespace | quote }}}
{{- end }}
{{- end }}

{{/* The image of a component. */}}
{{- define "torpor.image" -}}
{{- $root := index . 0 -}}
{{- $image := $root.Values.image -}}
{{- with $image.registry }}{{ . }}/{{ end -}}
{{ $image.repository }}/{{ index . 1 }}
{{- with index $image.digests (index . 1) }}@{{ . }}{{ else }}:{{ $image.tag | default $root.Chart.AppVersion }}{{ end }}
{{- end }}

{{/* Whether nodes fetch it. */}}
{{- define "torpor.pullPolicy" -}}
{{- $image := .Values.image -}}
{{- if $image.registry -}}
{{ $image.pullPolicy | default "IfNotPresent" }}
{{- else if has $image.pullPolicy (list "" "Never") -}}
Never
{{- else -}}
{{- fail (printf "image.pullPolicy is %s and image.registry is empty: nodes would ask docker.io for %s/…, which is nobody's you know. Name your registry, or leave out pullPolicy where the nodes have the images" $image.pullPolicy $image.repository) -}}
{{- end -}}
{{- end }}

{{/* What every pod of ours has: the restricted pod security standard, and a read-only root. */}}
{{- define "torpor.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- define "torpor.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{/* Where the pods of a component may run, and before whom; called with (list $ COMPONENT). */}}
{{- define "torpor.placement" -}}
{{- $root := index . 0 -}}
{{- $component := index . 1 -}}
{{- $values := index $root.Values $component -}}
nodeSelector:
  {{- merge (dict) $values.nodeSelector (dict "kubernetes.io/os" "linux") | toYaml | nindent 2 }}
{{- with $values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- if $values.topologySpreadConstraints }}
topologySpreadConstraints:
  {{- toYaml $values.topologySpreadConstraints | nindent 2 }}
{{- else if $values.replicas }}
# Apart from each other where there are nodes and zones for it.
topologySpreadConstraints:
{{- range list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
  - maxSkew: 1
    topologyKey: {{ . }}
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "torpor.selector" (list $root $component) | nindent 8 }}
{{- end }}
{{- end }}
{{- end }}

{{/* Of the pods of a component. Labels of ours win: selectors and policies find pods by them. */}}
{{- define "torpor.podMetadata" -}}
{{- $values := index (index . 0).Values (index . 1) -}}
labels:
  {{- merge (include "torpor.labels" . | fromYaml) $values.podLabels | toYaml | nindent 2 }}
{{- with $values.podAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* Asked by the kubelet: is it turning, can it serve. The first answer may take its time. */}}
{{- define "torpor.probes" -}}
startupProbe:
  httpGet: {path: /healthz, port: health}
  periodSeconds: 1
  failureThreshold: 120
livenessProbe:
  httpGet: {path: /healthz, port: health}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
readinessProbe:
  httpGet: {path: /readyz, port: health}
  periodSeconds: 2
  timeoutSeconds: 2
{{- end }}

{{/* Two releases in one namespace would share authority, certificates, volumes and pools. Only a cluster
knows: `helm template` looks nothing up. */}}
{{- define "torpor.refuseSecond" -}}
{{- $there := lookup "apps/v1" "Deployment" .Release.Namespace "" | default dict }}
{{- range $one := $there.items | default list }}
{{- $labels := $one.metadata.labels | default dict }}
{{- $other := index $labels "app.kubernetes.io/instance" | default "" }}
{{- if and (eq (index $labels "app.kubernetes.io/name" | default "") "torpor") (ne $other $.Release.Name) }}
{{- fail (printf "the namespace %s has the release %s of Torpor already: two in one namespace would share authority, volumes and pools. Install %s in a namespace of its own" $.Release.Namespace $other $.Release.Name) }}
{{- end }}
{{- end }}
{{- end }}
