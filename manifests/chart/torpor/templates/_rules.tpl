{{/* What the operator may do in the namespaces of databases. */}}
{{- define "torpor.operatorRules" -}}
# patch: finalizers, and nothing in the spec.
- apiGroups: [torpor.dev]
  resources: [serverlessdatabases]
  verbs: [get, list, watch, patch]
- apiGroups: [torpor.dev]
  resources: [serverlessdatabases/status]
  verbs: [get, patch]
# The Service and the Secrets of each database, beside it; and the passwordSecrets that people name.
- apiGroups: [""]
  resources: [secrets, services]
  verbs: [get, list, watch, create, patch, delete]
# Their uid: data that was kept is not for another namespace that comes to have the name.
- apiGroups: [""]
  resources: [namespaces]
  verbs: [get]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create]
{{- end }}

{{/* What the autoscaler may do there. */}}
{{- define "torpor.autoscalerRules" -}}
- apiGroups: [torpor.dev]
  resources: [serverlessdatabases]
  verbs: [get, list, watch]
# The claim is a write of the status.
- apiGroups: [torpor.dev]
  resources: [serverlessdatabases/status]
  verbs: [get, patch]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create]
{{- end }}
