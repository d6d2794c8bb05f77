# No port for debugging or profiling of green is open to whoever reaches its endpoints, whatever blue does.
package verdigris.security

import rego.v1

deny contains message if {
	some surface, settings in input.green.surfaces
	some port in settings["ports.debug"].value
	message := sprintf("green's %s host has a debugging port open: %s", [surface, port])
}
