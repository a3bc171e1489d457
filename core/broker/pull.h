/*
 * pull - PULL_MESSAGE (11), LITE_PULL_MESSAGE (361): PullMessageProcessor
 *
 *   happy path   pull_handle -> checks -> read_messages (tag test, then the group's filter) -> the
 *                records leave by reference, pinned until the kernel has them
 *   nothing yet  the request is kept and parked (hold); an arrival or the end of its time runs it again
 *   failures     a check: answered with Apache's code and remark; a filter that fails: its binding's policy
 */
#ifndef BROKER_PULL_H
#define BROKER_PULL_H

struct held_pull;
enum hold_reason;

/* hold's resume callback. */
void pull_resume(struct held_pull *p, enum hold_reason reason);

#endif
