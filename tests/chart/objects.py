"""Checks rendered objects against Kubernetes' schemas, the "restricted" Pod Security Standard, and each other."""

import base64
import sys

import kubernetes_validate
import yaml

# The oldest and the newest version that the package supports.
VERSIONS = ["1.25", "1.37"]
# Kinds of the Prometheus operator; Kubernetes has no schema for them.
FOREIGN = {"ServiceMonitor"}
FOLDER = "/var/lib/teleport/plugins/msteams"


def restricted(pod):
    """Yields what the standard forbids. The platform may assign the user and group IDs."""
    context = pod.get("securityContext", {})
    if context.get("runAsNonRoot") is not True or context.get("runAsUser") == 0:
        yield "may run as root"
    if context.get("seccompProfile", {}).get("type") != "RuntimeDefault":
        yield "has no seccomp profile"
    for key in ("hostNetwork", "hostPID", "hostIPC"):
        if pod.get(key):
            yield f"uses {key}"
    for volume in pod["volumes"]:
        if not {"configMap", "secret", "emptyDir"} & volume.keys():
            yield f"mounts {volume}"
    for container in pod["containers"]:
        context = container.get("securityContext", {})
        if context.get("allowPrivilegeEscalation") is not False:
            yield "may gain privileges"
        if context.get("readOnlyRootFilesystem") is not True:
            yield "may write to its root"
        if context.get("capabilities") != {"drop": ["ALL"]}:
            yield "keeps capabilities"


def readable(pod):
    """Yields volumes that a user other than root could not read."""
    group = "fsGroup" in pod.get("securityContext", {})
    platform = "runAsUser" not in pod.get("securityContext", {})
    for volume in pod["volumes"]:
        mode = (volume.get("secret") or volume.get("configMap") or {}).get("defaultMode")
        if mode is not None and not (mode & 0o004 or (mode & 0o040 and (group or platform))):
            yield f"{volume['name']}: mode {mode:o} is readable only by root"


def connected(objects, pod):
    """Yields references to names that do not exist in the same rendering."""
    volumes = {volume["name"] for volume in pod["volumes"]}
    container = pod["containers"][0]
    for mount in container["volumeMounts"]:
        if mount["name"] not in volumes:
            yield f"mounts {mount['name']}, which is not a volume"
        if mount["mountPath"].startswith(FOLDER) and "subPath" in mount:
            yield f"{mount['name']}: Kubernetes does not update a mount with subPath"
    for key in ("name", "mountPath"):
        names = [mount[key] for mount in container["volumeMounts"]]
        if len(names) != len(set(names)):
            yield f"two mounts have the same {key}"
    labels = objects["Deployment"]["spec"]["template"]["metadata"]["labels"]
    selectors = [objects["Deployment"]["spec"]["selector"]["matchLabels"]]
    if budget := objects.get("PodDisruptionBudget"):
        selectors.append(budget["spec"]["selector"]["matchLabels"])
    if service := objects.get("Service"):
        selectors.append(service["spec"]["selector"])
        monitor = objects["ServiceMonitor"]["spec"]
        if not monitor["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items():
            yield "the ServiceMonitor does not select the Service"
        ports = {port["name"] for port in service["spec"]["ports"]}
        if {endpoint["port"] for endpoint in monitor["endpoints"]} - ports:
            yield "the ServiceMonitor scrapes a port that the Service does not have"
    for selector in selectors:
        if not selector.items() <= labels.items():
            yield f"{selector} does not select the pods"
    ports = {port["name"]: port["containerPort"] for port in container.get("ports", [])}
    for probe in ("livenessProbe", "readinessProbe"):
        if bool(ports) != (probe in container):
            yield f"{probe} and the port must both be set or both be absent"
        if probe in container and container[probe]["httpGet"]["port"] not in ports:
            yield f"{probe} uses a port that is not open"
    config = objects["ConfigMap"]["data"]["teleport-msteams.toml"]
    for port in ports.values():
        if f":{port}\"" not in config:
            yield f"the daemon does not listen on {port}"
    if secret := objects.get("Secret"):
        (value,) = secret["data"].values()
        if not base64.b64decode(value, validate=True):
            yield "the Secret is empty"


def check(path):
    with open(path, encoding="utf-8") as file:
        listed = [item for item in yaml.safe_load_all(file) if item]
    objects = {item["kind"]: item for item in listed}
    problems = []
    for item in listed:
        if item["kind"] in FOREIGN:
            continue
        for version in VERSIONS:
            try:
                kubernetes_validate.validate(item, version, strict=True)
            except kubernetes_validate.ValidationError as error:
                problems.append(f"{item['kind']} ({version}): {error.message} at {list(error.path)}")
    # A sample for operators has no pod.
    if deployment := objects.get("Deployment"):
        pod = deployment["spec"]["template"]["spec"]
        problems += [*restricted(pod), *readable(pod), *connected(objects, pod)]
    for problem in problems:
        print(f"FAILED: {path}: {problem}")
    return not problems, len(listed)


if __name__ == "__main__":
    results = [check(path) for path in sys.argv[1:]]
    print(f"{sum(count for _, count in results)} objects checked against Kubernetes {' and '.join(VERSIONS)}")
    sys.exit(0 if results and all(valid for valid, _ in results) else 1)
