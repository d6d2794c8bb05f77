# Green brings no new critical vulnerability, and no more than `context.maxNewHigh` new ones that are high (without it: any
# number).
package verdigris.security

import rego.v1

deny contains message if {
	some found in input.vulnerabilities.findings
	found.severity == "critical"
	message := sprintf("%s in %s is critical, and new in green", [found.id, found.component])
}

deny contains message if {
	high := count([found | some found in input.vulnerabilities.findings; found.severity == "high"])
	high > input.context.maxNewHigh
	message := sprintf("%d new high vulnerabilities in green, expected %d at most", [high, input.context.maxNewHigh])
}
