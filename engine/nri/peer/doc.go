// Package peer finds out who is at the other end of a unix socket.
//
// The kernel tells which process connected, and /proc tells what it runs. A
// process id is a number that is used again, so what is read is held together by
// two descriptors that are not: a pidfd, which the socket itself gives from Linux
// 6.5 on, and the opened directory /proc/PID, whose files go on to mean the same
// process and fail once it is gone. The executable is hashed through
// /proc/PID/exe, which is the file that runs, whatever its path leads to by now.
//
// What an [engine.Identity] can and cannot prove:
//
//   - The user and group are those of the moment when the process connected. A
//     process that changes them later is still who it was.
//   - A socket can be passed on: to a child, through exec or over another socket.
//     The kernel names who connected, not who talks. [Peer.Verify] notices when
//     that process has exited or runs something else.
//   - Before Linux 6.5 the socket gives a number only. If that process has exited
//     and its number has been used again before the peer is looked at, it is the
//     wrong one that is seen; from then on the number is not relied on.
//   - The executable of a script is its interpreter, that of a program run by
//     the dynamic loader's name is the loader; see [Interpreter]. Demand neither.
//   - Who may run a trusted executable may have it load other code (LD_PRELOAD, a
//     debugger, a container that brings the libraries), and a process with a user
//     namespace of its own can have the kernel name another executable
//     (prctl(2), PR_SET_MM_MAP). What a network's file system says of a file is up
//     to its server. So an identity is worth as much as the
//     permissions of the socket, which say who may connect at all, and should
//     name the user too.
//   - A path is as the process itself sees it. Where it does not lead to the same
//     file on the host, it is written with [Unreachable] in front, so that nothing
//     in a container passes for a program of the host by its path.
//   - Who controls a cgroup names what is below. So the unit is the outermost one.
package peer
