// What the tests beside this ask of the emulator, by the .NET client: each line is a step and what came of it.
using System.Text.Json;
using System.Transactions;
using Azure.Messaging.ServiceBus;
using Azure.Messaging.ServiceBus.Administration;

var connectionString = args[0];
var wait = TimeSpan.FromSeconds(20);
await using var client = new ServiceBusClient(connectionString, new ServiceBusClientOptions
{
    RetryOptions = new ServiceBusRetryOptions { MaxRetries = 0, TryTimeout = wait },
});

await Step("two entities on one connection", async () =>
{
    await client.CreateSender("first").SendMessageAsync(new ServiceBusMessage("one"));
    await client.CreateSender("second").SendMessageAsync(new ServiceBusMessage("two"));
    return new[] { await TakeText("first"), await TakeText("second") };
});

await Step("the same again on another connection, while messages wait", async () =>
{
    await client.CreateSender("first").SendMessageAsync(new ServiceBusMessage("waits"));
    await using var other = new ServiceBusClient(connectionString);
    await using var receiver = other.CreateReceiver("first");
    var message = await receiver.ReceiveMessageAsync(wait);
    await receiver.CompleteMessageAsync(message);
    return message.Body.ToString();
});

await Step("a batch", async () =>
{
    var sender = client.CreateSender("first");
    using var batch = await sender.CreateMessageBatchAsync();
    for (var i = 0; i < 3; i++) batch.TryAddMessage(new ServiceBusMessage($"{i}"));
    await sender.SendMessagesAsync(batch);
    return new[] { await TakeText("first"), await TakeText("first"), await TakeText("first") };
});

await Step("types of application properties", async () =>
{
    var sent = new Dictionary<string, object>
    {
        ["text"] = "a", ["int"] = 1, ["long"] = 1L << 60, ["double"] = 1.5, ["bool"] = true,
        ["time"] = new DateTime(2026, 11, 25, 23, 16, 12, 438, DateTimeKind.Utc),
        ["offset"] = new DateTimeOffset(2026, 11, 25, 23, 16, 12, TimeSpan.Zero),
        ["guid"] = Guid.Parse("00112233-4455-6677-8899-aabbccddeeff"),
        ["uri"] = new Uri("https://contoso.com/a"),
        ["span"] = TimeSpan.FromMinutes(90),
    };
    var message = new ServiceBusMessage("typed");
    foreach (var (key, value) in sent) message.ApplicationProperties[key] = value;
    await client.CreateSender("first").SendMessageAsync(message);
    var received = await Take("first");
    return sent.All(pair => pair.Value.Equals(received.ApplicationProperties[pair.Key]));
});

await Step("scheduled, peeked, cancelled", async () =>
{
    var sender = client.CreateSender("second");
    var number = await sender.ScheduleMessageAsync(new ServiceBusMessage("later"), DateTimeOffset.UtcNow.AddHours(1));
    var peeked = await client.CreateReceiver("second").PeekMessageAsync();
    await sender.CancelScheduledMessageAsync(number);
    return new[] { peeked.Body.ToString(), peeked.State.ToString() };
});

await Step("abandoned, deferred, renewed", async () =>
{
    await client.CreateSender("second").SendMessageAsync(new ServiceBusMessage("again"));
    await using var receiver = client.CreateReceiver("second");
    await receiver.AbandonMessageAsync(await receiver.ReceiveMessageAsync(wait));
    var message = await receiver.ReceiveMessageAsync(wait);
    var before = message.LockedUntil;
    await receiver.RenewMessageLockAsync(message);
    await receiver.DeferMessageAsync(message);
    var deferred = await receiver.ReceiveDeferredMessageAsync(message.SequenceNumber);
    await receiver.CompleteMessageAsync(deferred);
    return new object[] { message.DeliveryCount, message.LockedUntil >= before, deferred.Body.ToString() };
});

await Step("dead letters", async () =>
{
    await client.CreateSender("second").SendMessageAsync(new ServiceBusMessage("bad"));
    await using var receiver = client.CreateReceiver("second");
    await receiver.DeadLetterMessageAsync(await receiver.ReceiveMessageAsync(wait), "reason", "description");
    var options = new ServiceBusReceiverOptions { SubQueue = SubQueue.DeadLetter };
    await using var dead = client.CreateReceiver("second", options);
    var message = await dead.ReceiveMessageAsync(wait);
    await dead.CompleteMessageAsync(message);
    return new[] { message.DeadLetterReason, message.DeadLetterErrorDescription };
});

await Step("topic, subscription, processor", async () =>
{
    var done = new TaskCompletionSource<string>();
    await using var processor = client.CreateProcessor("topic", "all");
    processor.ProcessMessageAsync += arguments =>
    {
        done.TrySetResult(arguments.Message.Body.ToString());
        return Task.CompletedTask;
    };
    processor.ProcessErrorAsync += arguments =>
    {
        done.TrySetException(arguments.Exception);
        return Task.CompletedTask;
    };
    await processor.StartProcessingAsync();
    await client.CreateSender("topic").SendMessageAsync(new ServiceBusMessage("published"));
    var text = await done.Task.WaitAsync(wait);
    await processor.StopProcessingAsync();
    return text;
});

await Step("an entity that is not there", async () =>
{
    await client.CreateSender("nowhere").SendMessageAsync(new ServiceBusMessage("lost"));
    return "sent";
});

await Step("the next session", async () =>
{
    await client.AcceptNextSessionAsync("first");
    return "accepted";
});

await Step("one session", async () =>
{
    await client.AcceptSessionAsync("first", "session");
    return "accepted";
});

await Step("a transaction", async () =>
{
    using var scope = new TransactionScope(TransactionScopeAsyncFlowOption.Enabled);
    await client.CreateSender("first").SendMessageAsync(new ServiceBusMessage("all or nothing"));
    scope.Complete();
    return "sent";
});

await Step("rules of a subscription", async () =>
{
    await client.CreateRuleManager("topic", "all").CreateRuleAsync("rule", new SqlRuleFilter("1 = 1"));
    return "made";
});

await Step("the administration client", async () =>
{
    await new ServiceBusAdministrationClient(connectionString).GetQueueAsync("first");
    return "found";
});

await Step("after all that, a message", async () =>
{
    await client.CreateSender("first").SendMessageAsync(new ServiceBusMessage("still"));
    return await TakeText("first");
});

async Task<ServiceBusReceivedMessage> Take(string queue)
{
    await using var receiver = client.CreateReceiver(queue);
    var message = await receiver.ReceiveMessageAsync(wait) ?? throw new InvalidOperationException("no message");
    await receiver.CompleteMessageAsync(message);
    return message;
}

async Task<string> TakeText(string queue) => (await Take(queue)).Body.ToString();

static async Task Step(string name, Func<Task<object>> step)
{
    object outcome;
    try
    {
        outcome = new { name, result = await step() };
    }
    catch (Exception error)
    {
        outcome = new { name, error = error.GetType().Name, message = error.Message };
    }
    Console.WriteLine(JsonSerializer.Serialize(outcome));
}
