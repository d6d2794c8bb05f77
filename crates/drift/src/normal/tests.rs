//! What is no difference, and what is one, in each kind of document.

use crate::compare::tests::check;
use insta::assert_snapshot;

const DEPLOYMENT: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: checkout, namespace: shop}
spec:
  selector: {matchLabels: {app: checkout}}
  template:
    metadata: {labels: {app: checkout}}
    spec:
      containers:
      - name: app
        image: shop/checkout:1.4
        env:
        - {name: A, value: 1}
        - {name: DB_PASSWORD, value: one}
        - {name: TOKEN, valueFrom: {secretKeyRef: {name: creds, key: token}}}
        ports: [{containerPort: 8080}, {name: admin, containerPort: 9090}]
        resources: {limits: {cpu: 0.5, memory: 1Gi}}
        livenessProbe: {httpGet: {path: /live, port: 8080}}
      - {name: proxy, image: envoy}
";

/// The same object as `kubectl get -o json` gives it.
const FROM_CLUSTER: &str = r#"{"apiVersion":"v1","kind":"List","items":[{
"kind":"Deployment","apiVersion":"apps/v1","status":{"replicas":1},
"metadata":{"namespace":"shop","name":"checkout","uid":"x","resourceVersion":"12","generation":3,"creationTimestamp":"2024-01-01T00:00:00Z",
 "managedFields":[{"manager":"kubectl"}],"annotations":{"deployment.kubernetes.io/revision":"1","kubectl.kubernetes.io/last-applied-configuration":"{}"}},
"spec":{"replicas":1,"revisionHistoryLimit":10,"progressDeadlineSeconds":600,"strategy":{"type":"RollingUpdate","rollingUpdate":{"maxSurge":"25%","maxUnavailable":"25%"}},
 "selector":{"matchLabels":{"app":"checkout"}},
 "template":{"metadata":{"creationTimestamp":null,"labels":{"app":"checkout"}},"spec":{
  "restartPolicy":"Always","dnsPolicy":"ClusterFirst","schedulerName":"default-scheduler","securityContext":{},"terminationGracePeriodSeconds":30,
  "containers":[
   {"name":"proxy","image":"envoy","imagePullPolicy":"Always","resources":{},"terminationMessagePath":"/dev/termination-log","terminationMessagePolicy":"File"},
   {"name":"app","image":"shop/checkout:1.4","imagePullPolicy":"IfNotPresent","terminationMessagePath":"/dev/termination-log","terminationMessagePolicy":"File",
    "env":[{"name":"TOKEN","valueFrom":{"secretKeyRef":{"key":"token","name":"creds"}}},{"name":"DB_PASSWORD","value":"one"},{"name":"A","value":"1"}],
    "ports":[{"name":"admin","containerPort":9090,"protocol":"TCP"},{"containerPort":8080,"protocol":"TCP"}],
    "livenessProbe":{"httpGet":{"path":"/live","port":8080,"scheme":"HTTP"},"timeoutSeconds":1,"periodSeconds":10,"successThreshold":1,"failureThreshold":3},
    "resources":{"limits":{"cpu":"500m","memory":"1024Mi"}}}]}}}}]}"#;

#[test]
fn an_object_is_the_same_from_its_manifest_and_from_the_cluster() {
    assert_eq!(check("a.yaml", DEPLOYMENT, FROM_CLUSTER), "");
}

#[test]
fn differences_of_objects_are_named_by_what_they_are() {
    let green = DEPLOYMENT
        .replace("value: one", "value: two")
        .replace("checkout:1.4", "checkout:1.5")
        .replace("key: token", "key: other")
        .replace(", {name: admin, containerPort: 9090}", "")
        .replace("cpu: 0.5", "cpu: 1")
        .replace("{path: /live, port: 8080}", "{path: /live, port: 8080}, periodSeconds: 5");
    assert_snapshot!(check("a.yaml", DEPLOYMENT, &green), @"
    a.yaml: Deployment/shop/checkout: spec.template.spec.containers[app].env[DB_PASSWORD].value: secret (changed)
    a.yaml: Deployment/shop/checkout: spec.template.spec.containers[app].env[TOKEN].valueFrom.secretKeyRef.key: token in blue, other in green
    a.yaml: Deployment/shop/checkout: spec.template.spec.containers[app].image: shop/checkout:1.4 in blue, shop/checkout:1.5 in green
    a.yaml: Deployment/shop/checkout: spec.template.spec.containers[app].livenessProbe.periodSeconds: 10 in blue, 5 in green
    a.yaml: Deployment/shop/checkout: spec.template.spec.containers[app].ports[admin]: is missing in green; blue has 3 entries
    a.yaml: Deployment/shop/checkout: spec.template.spec.containers[app].resources.limits.cpu: 500m in blue, 1 in green
    ");
}

#[test]
fn secrets_are_equal_when_they_decode_equal() {
    let secret = |rest: &str| format!("apiVersion: v1\nkind: Secret\nmetadata: {{name: s}}\n{rest}");
    let blue = secret("data: {user: c2hvcA==, password: aHVudGVyMg==}");
    assert_eq!(check("a.yaml", &blue, &secret("stringData: {user: shop, password: hunter2}")), "");
    assert_snapshot!(check("a.yaml", &blue, &secret("stringData: {user: shop, password: hunter3, more: x}")), @"
    a.yaml: Secret/default/s: data.more: is in green alone: (secret)
    a.yaml: Secret/default/s: data.password: secret (changed)
    ");
}

const COLLECTOR: &str = "
receivers: {otlp: {protocols: {grpc: , http: }}}
processors:
  batch:
  memory_limiter: {check_interval: 1s, limit_mib: 400}
exporters:
  otlp: {endpoint: 'backend:4317', headers: {x-api-key: \"${API_KEY}\"}}
  debug: {}
service:
  extensions: [a, b]
  pipelines:
    traces: {receivers: [otlp], processors: [memory_limiter, batch], exporters: [otlp, debug]}
";

#[test]
fn defaults_and_spellings_of_a_collector_are_no_difference() {
    let green = COLLECTOR
        .replace("grpc: ,", "grpc: {endpoint: 'localhost:4317'},")
        .replace("batch:\n", "batch: {timeout: 0.2s, send_batch_size: 8192}\n")
        .replace("check_interval: 1s", "check_interval: 1000ms")
        .replace("${API_KEY}", "${env:API_KEY}")
        .replace("{endpoint: 'backend:4317'", "{compression: gzip, sending_queue: {enabled: true}, retry_on_failure: {max_elapsed_time: 5m}, endpoint: 'backend:4317'")
        .replace("[otlp, debug]", "[debug, otlp]")
        .replace("[a, b]", "[b, a]");
    assert_eq!(check("c.yaml", COLLECTOR, &green), "");
}

#[test]
fn the_order_of_processors_is_one() {
    let green = COLLECTOR
        .replace("[memory_limiter, batch]", "[batch, memory_limiter]")
        .replace("batch:\n", "batch: {timeout: 1s}\n")
        .replace("[otlp, debug]", "[otlp]");
    assert_snapshot!(check("c.yaml", COLLECTOR, &green), @"
    c.yaml: processors.batch.timeout: 200ms in blue, 1s in green
    c.yaml: service.pipelines.traces.exporters[debug]: is missing in green; blue has debug
    c.yaml: service.pipelines.traces.processors: in another order: memory_limiter, batch in blue; batch, memory_limiter in green
    ");
}

#[test]
fn a_configuration_in_a_config_map_is_compared_by_meaning() {
    let map = |config: &str| {
        let indented: String = config.lines().map(|line| format!("    {line}\n")).collect();
        format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: c, namespace: otel}}\ndata:\n  config.yaml: |\n{indented}  n: '1'\n"
        )
    };
    assert_eq!(check("c.yaml", &map(COLLECTOR), &map(&COLLECTOR.replace("400}", "400} # comment"))), "");
    assert_snapshot!(check("c.yaml", &map(COLLECTOR), &map(&COLLECTOR.replace("backend:4317", "other:4317"))), @"c.yaml: ConfigMap/otel/c: data[config.yaml].exporters.otlp.endpoint: backend:4317 in blue, other:4317 in green");
}

#[test]
fn compose_forms_are_no_difference() {
    let blue = "services: {a: {image: x, environment: {A: 1, B: , C: 'true'}, depends_on: [b], ports: [8080], command: run --fast}, b: {image: y}}";
    let green = "version: '3'\nservices: {b: {image: y, restart: 'no'}, a: {image: x, environment: [A=1, B, C=true], depends_on: {b: {condition: service_started}}, ports: ['8080'], command: [run, --fast]}}";
    assert_eq!(check("compose.yaml", blue, green), "");
    assert_snapshot!(check("compose.yaml", blue, &green.replace("A=1", "A=2").replace("--fast", "--slow")), @"
    compose.yaml: services.a.command[1]: --fast in blue, --slow in green
    compose.yaml: services.a.environment.A: 1 in blue, 2 in green
    ");
}
