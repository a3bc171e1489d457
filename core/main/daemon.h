/*
 * daemon - what every server program does: signals, descriptors, waiting for its end
 */
#ifndef MAIN_DAEMON_H
#define MAIN_DAEMON_H

/*
 * Before any thread starts: ignore SIGPIPE, block the signals daemon_wait() waits for (threads inherit that), raise the
 * limit of open files to what is allowed.
 */
void daemon_begin(void);

/*
 * Wait for SIGTERM or SIGINT: returns 0.  SIGHUP calls on_hup(arg) and goes on waiting.  daemon_fail() from any thread ends the
 * wait with 1.
 */
int daemon_wait(void (*on_hup)(void *arg), void *arg);
/* Any thread: the program can't go on; @text is printed to stderr. */
void daemon_fail(const char *text);

#endif
