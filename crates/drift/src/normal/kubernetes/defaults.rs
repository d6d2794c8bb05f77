//! What the API server fills in, by the `defaults.go` of k8s.io/kubernetes `pkg/apis/{core,apps,batch}/v1`, as of 1.34.

use super::PODS;
use crate::normal::fill::{Default, Is, fill};
use crate::value::{Raw, Value};

/// By kind, from the object's root.
const OBJECTS: &[(&str, &[Default])] = &[
    (
        "Deployment",
        &[
            ("spec.replicas", Is::Number(1)),
            ("spec.revisionHistoryLimit", Is::Number(10)),
            ("spec.progressDeadlineSeconds", Is::Number(600)),
            ("spec.minReadySeconds", Is::Number(0)),
            ("spec.paused", Is::Bool(false)),
            ("spec.strategy.type", Is::Text("RollingUpdate")),
        ],
    ),
    (
        "StatefulSet",
        &[
            ("spec.replicas", Is::Number(1)),
            ("spec.revisionHistoryLimit", Is::Number(10)),
            ("spec.minReadySeconds", Is::Number(0)),
            ("spec.podManagementPolicy", Is::Text("OrderedReady")),
            ("spec.updateStrategy.type", Is::Text("RollingUpdate")),
            ("spec.persistentVolumeClaimRetentionPolicy.whenDeleted", Is::Text("Retain")),
            ("spec.persistentVolumeClaimRetentionPolicy.whenScaled", Is::Text("Retain")),
        ],
    ),
    (
        "DaemonSet",
        &[
            ("spec.revisionHistoryLimit", Is::Number(10)),
            ("spec.minReadySeconds", Is::Number(0)),
            ("spec.updateStrategy.type", Is::Text("RollingUpdate")),
        ],
    ),
    ("ReplicaSet", &[("spec.replicas", Is::Number(1))]),
    (
        "Job",
        &[
            ("spec.parallelism", Is::Number(1)),
            ("spec.completions", Is::Number(1)),
            ("spec.backoffLimit", Is::Number(6)),
            ("spec.completionMode", Is::Text("NonIndexed")),
            ("spec.suspend", Is::Bool(false)),
            ("spec.manualSelector", Is::Bool(false)),
            ("spec.podReplacementPolicy", Is::Text("TerminatingOrFailed")),
        ],
    ),
    (
        "CronJob",
        &[
            ("spec.concurrencyPolicy", Is::Text("Allow")),
            ("spec.suspend", Is::Bool(false)),
            ("spec.successfulJobsHistoryLimit", Is::Number(3)),
            ("spec.failedJobsHistoryLimit", Is::Number(1)),
        ],
    ),
    (
        "Service",
        &[
            ("spec.type", Is::Text("ClusterIP")),
            ("spec.sessionAffinity", Is::Text("None")),
            ("spec.internalTrafficPolicy", Is::Text("Cluster")),
            ("spec.ipFamilyPolicy", Is::Text("SingleStack")),
        ],
    ),
    ("PersistentVolumeClaim", &[("spec.volumeMode", Is::Text("Filesystem"))]),
    ("Secret", &[("type", Is::Text("Opaque")), ("immutable", Is::Bool(false))]),
    ("ConfigMap", &[("immutable", Is::Bool(false))]),
    ("RoleBinding", &[("roleRef?.apiGroup", Is::Text("rbac.authorization.k8s.io"))]),
    ("ClusterRoleBinding", &[("roleRef?.apiGroup", Is::Text("rbac.authorization.k8s.io"))]),
];

/// Of a rolling update, by kind.
const ROLLING: &[(&str, &str, &[Default])] = &[
    (
        "Deployment",
        "strategy",
        &[("rollingUpdate.maxSurge", Is::Text("25%")), ("rollingUpdate.maxUnavailable", Is::Text("25%"))],
    ),
    ("StatefulSet", "updateStrategy", &[("rollingUpdate.partition", Is::Number(0))]),
    (
        "DaemonSet",
        "updateStrategy",
        &[("rollingUpdate.maxSurge", Is::Number(0)), ("rollingUpdate.maxUnavailable", Is::Number(1))],
    ),
];

const POD: &[Default] = &[
    ("restartPolicy", Is::Text("Always")),
    ("dnsPolicy", Is::Text("ClusterFirst")),
    ("schedulerName", Is::Text("default-scheduler")),
    ("terminationGracePeriodSeconds", Is::Number(30)),
    ("securityContext", Is::Empty),
    ("enableServiceLinks", Is::Bool(true)),
    ("serviceAccountName", Is::Text("default")),
    ("hostNetwork", Is::Bool(false)),
    ("hostPID", Is::Bool(false)),
    ("hostIPC", Is::Bool(false)),
];

const CONTAINER: &[Default] = &[
    ("terminationMessagePath", Is::Text("/dev/termination-log")),
    ("terminationMessagePolicy", Is::Text("File")),
    ("resources", Is::Empty),
    ("stdin", Is::Bool(false)),
    ("stdinOnce", Is::Bool(false)),
    ("tty", Is::Bool(false)),
    ("securityContext", Is::Empty),
];

const PROBES: &[&str] = &["livenessProbe", "readinessProbe", "startupProbe"];

const PROBE: &[Default] = &[
    ("timeoutSeconds", Is::Number(1)),
    ("periodSeconds", Is::Number(10)),
    ("successThreshold", Is::Number(1)),
    ("failureThreshold", Is::Number(3)),
    ("initialDelaySeconds", Is::Number(0)),
    ("httpGet?.scheme", Is::Text("HTTP")),
    ("httpGet?.path", Is::Text("/")),
    ("grpc?.service", Is::Text("")),
];

const PORT: &[Default] = &[("protocol", Is::Text("TCP"))];
const MOUNT: &[Default] = &[("readOnly", Is::Bool(false))];
const VARIABLE: &[Default] = &[("valueFrom?.fieldRef?.apiVersion", Is::Text("v1"))];

/// 420 is 0644.
const VOLUME: &[Default] = &[
    ("configMap?.defaultMode", Is::Number(420)),
    ("secret?.defaultMode", Is::Number(420)),
    ("projected?.defaultMode", Is::Number(420)),
    ("downwardAPI?.defaultMode", Is::Number(420)),
    ("hostPath?.type", Is::Text("")),
];

pub(super) fn fill_object(kind: &str, raw: &mut Raw) {
    if let Some((_, defaults)) = OBJECTS.iter().find(|(name, _)| *name == kind) {
        fill(raw, defaults);
    }
    if let Some((_, key, defaults)) = ROLLING.iter().find(|(name, _, _)| *name == kind)
        && let Some(strategy) = at(raw, &["spec", key])
        && strategy.get("type").and_then(Raw::as_text) == Some("RollingUpdate")
    {
        fill(strategy, defaults);
    }
    if kind == "Service" {
        service(raw);
    }
    if let Some((_, path)) = PODS.iter().find(|(name, _)| *name == kind)
        && let Some(pod) = at(raw, path)
    {
        fill_pod(pod);
        // The labels of a template say the same as those of an object.
        if let Some((_, template)) = path.split_last()
            && let Some(metadata) = at(raw, template).and_then(|template| template.map_mut()?.get_mut("metadata"))
            && let Some(metadata) = metadata.map_mut()
            && !template.is_empty()
        {
            super::clean_metadata(metadata);
        }
    }
}

fn at<'a>(raw: &'a mut Raw, path: &[&str]) -> Option<&'a mut Raw> {
    path.iter().try_fold(raw, |value, key| value.map_mut()?.get_mut(*key))
}

/// The items of a list, named or not.
fn each(raw: Option<&mut Raw>, mut run: impl FnMut(&mut Raw)) {
    match raw {
        Some(Value::List(items) | Value::Bag(items)) => items.iter_mut().for_each(run),
        Some(Value::Named(named)) => named.items.values_mut().for_each(&mut run),
        Some(Value::Leaf(_) | Value::Map(_)) | None => {}
    }
}

fn fill_pod(pod: &mut Raw) {
    let Some(map) = pod.map_mut() else { return };
    // The old name of the same field, which the API server writes beside the new one.
    if let Some(account) = map.remove("serviceAccount") {
        map.entry("serviceAccountName".to_owned()).or_insert(account);
    }
    fill(pod, POD);
    let Some(map) = pod.map_mut() else { return };
    for key in ["containers", "initContainers", "ephemeralContainers"] {
        each(map.get_mut(key), container);
    }
    each(map.get_mut("volumes"), |volume| fill(volume, VOLUME));
}

fn container(container: &mut Raw) {
    fill(container, CONTAINER);
    let pull = match container.get("image").and_then(Raw::as_text) {
        Some(image) if is_latest(image) => "Always",
        Some(_) | None => "IfNotPresent",
    };
    fill(container, &[("imagePullPolicy", Is::Text(pull))]);
    let Some(map) = container.map_mut() else { return };
    for probe in PROBES {
        if let Some(probe) = map.get_mut(*probe) {
            fill(probe, PROBE);
        }
    }
    each(map.get_mut("ports"), |port| fill(port, PORT));
    each(map.get_mut("volumeMounts"), |mount| fill(mount, MOUNT));
    each(map.get_mut("env"), |variable| fill(variable, VARIABLE));
}

/// An image with the tag `latest`, or with neither tag nor digest.
fn is_latest(image: &str) -> bool {
    let last = image.rsplit('/').next().unwrap_or(image);
    !image.contains('@') && last.split_once(':').is_none_or(|(_, tag)| tag == "latest")
}

/// The addresses are the cluster's, but for `None`, which makes a service without one.
fn service(raw: &mut Raw) {
    let Some(spec) = at(raw, &["spec"]).and_then(Raw::map_mut) else { return };
    if spec.get("clusterIP").and_then(Raw::as_text) != Some("None") {
        spec.remove("clusterIP");
    }
    spec.remove("clusterIPs");
    spec.remove("ipFamilies");
    each(spec.get_mut("ports"), |port| {
        fill(port, PORT);
        let number = port.get("port").cloned();
        if let (Some(map), Some(number)) = (port.map_mut(), number) {
            map.entry("targetPort".to_owned()).or_insert(number);
        }
    });
}
