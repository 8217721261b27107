// Package docker translates between Docker's description of a container and NRI.
//
// Docker's side is [container.InspectResponse], the one type of Docker's API that
// holds all of it: a daemon that creates a container fills in ID, Name, Config and
// HostConfig, and gets from one that exists whatever else is there. From that,
// [Container] and [Pod] make what NRI's plugins are shown; in the other direction
// [Apply] puts an approved adjustment into Config and HostConfig, and [Update]
// makes the body of Docker's update request.
//
//	c := &container.InspectResponse{ID: id, Name: name, Config: config, HostConfig: host}
//	shown, err := docker.Container(c)
//	// ... plugins are asked, a decision is made ...
//	err = docker.Apply(c, approved)
//
// What an adjustment means is defined by NRI's own spec generator
// (pkg/runtime-tools/generate), as for every runtime. Three rules follow:
//
//   - All or nothing. Whatever Docker cannot express is named in one [*Unsupported]
//     error, and nothing is changed. That holds for what Docker has no setting for
//     (hooks, schedulers, ...), for what it would understand in another way (a mount
//     option that it drops, a path that it resolves differently), for fields of the
//     protocol that this build does not know, and for what the generator ignores: a
//     decision was never made about that.
//   - One entry for one thing. Docker lets a variable, a limit or the mount at a
//     target be given several times; what is shown is the one that counts, and
//     changing or removing it does so wherever it stands.
//   - What Docker sets up by itself (its own mounts, PATH, some kernel parameters)
//     is not shown and cannot be removed.
//
// A daemon verifies settings when a request arrives, before plugins are asked.
// [Apply] checks what can be told from the settings alone, not whether the machine
// can carry them out: a careful daemon verifies again. It also derives anew what it
// keeps apart from Config and HostConfig.
package docker
