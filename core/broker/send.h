/*
 * send - SEND_MESSAGE (10), SEND_MESSAGE_V2 (310), SEND_BATCH_MESSAGE (320): SendMessageProcessor
 *
 * A handler checks, encodes the record into its reactor's staged batch and parks the request in
 * its own arena; at the end of the turn the batch is submitted, and done() answers all of it.
 *
 *   happy path   send_handle -> append_reserve/record_encode -> (turn end) append_submit -> done ->
 *                request_reply
 *   failures     a check: answered at once, nothing staged; the append: the entry's rc, answered in done
 */
#ifndef BROKER_SEND_H
#define BROKER_SEND_H

struct broker_io;
struct send_stage;

/* Own reactor. */
struct send_stage *send_stage_new(struct broker_io *io);
/* Nothing may be under way. */
void send_stage_free(struct send_stage *s);
/* Batches submitted and not answered yet; own reactor. */
int send_stage_pending(const struct send_stage *s);

#endif
